"""A worker's ear: a connection to the counters that only listens, and tells `TargetStates`, `Factors` and `Figures`
what it hears.

Nobody waits for it. While the counters are away nothing is heard, and what was heard of targets is soon forgotten.
In a cluster any node will do, since they pass on to each other what is published; where one is of no use the next
one is tried.
"""

import asyncio
import contextlib
import time

import hiredis
import structlog

from headgate import metrics
from headgate.counters.address import CountersAddress, counters_address
from headgate.counters.cluster_map import map_of
from headgate.feed.factors import Factors
from headgate.feed.figures import Figures
from headgate.feed.identity import gateway_id
from headgate.feed.messages import ANY_GATEWAY, FIGURES_CHANNEL, RESTS_CHANNEL, Said, decoded, gateway_channel
from headgate.feed.states import FORGET_S, TargetStates

CONNECT_TIMEOUT_S = 1.0
QUIET_S = 2.0  # without a word; then the server is asked whether it is there, and given as long to answer
DEAF_S = 6.0  # without a message on a node of a cluster; then another one is listened to: this may be cut off
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

log = structlog.get_logger()


class Lost(Exception):  # noqa: N818 - what happened, not what went wrong
    """The connection is of no use any more."""


class Subscriber:
    """Listens until it is closed. `gateway` None: to all gateways there are."""

    def __init__(
        self,
        address: CountersAddress,
        gateway: str | None,
        states: TargetStates,
        factors: Factors | None = None,
        figures: Figures | None = None,
    ) -> None:
        self._addresses = address.each()
        self._others: tuple[CountersAddress, ...] = ()  # of the same cluster, as a node has said
        self._tries = 0
        self._states = states
        self._factors = factors
        self._figures = figures
        self._greeting = address.greeting()
        self._commands: list[tuple[str, ...]] = [
            *self._greeting,
            ("CLUSTER", "SLOTS"),
            ("SUBSCRIBE", RESTS_CHANNEL, FIGURES_CHANNEL, *([gateway_channel(gateway)] if gateway else [])),
            *([] if gateway else [("PSUBSCRIBE", ANY_GATEWAY)]),
        ]
        self._heard = metrics.FEED_HEARD.labels("targets")
        self._listens = False
        self._silent_since = self._heard_at = time.monotonic()
        self._told_down = False
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen in the background of the running loop."""
        self._heard.set(time.time())
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Listen no more."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except (OSError, TimeoutError, Lost, hiredis.HiredisError) as error:
                self._down(str(error) if isinstance(error, Lost) else type(error).__name__)
            except Exception:  # a bug of ours must not end the listening for good
                log.exception("feed: failed")
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        addresses = tuple(dict.fromkeys((*self._addresses, *self._others)))
        address = addresses[self._tries % len(addresses)]
        self._tries += 1
        reader, writer = await self._connected(address)
        try:
            for command in self._commands:
                writer.write(hiredis.pack_command(command))  # type: ignore[arg-type] # its stub means tuples of one
            await self._read(reader, writer, address)
        finally:
            writer.transport.abort()

    async def _connected(self, address: CountersAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if address.path:
                return await asyncio.open_unix_connection(address.path)
            return await asyncio.open_connection(address.host, address.port, ssl=address.context())

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: CountersAddress
    ) -> None:
        replies, asked, number = hiredis.Reader(), False, 0
        self._heard_at = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    data = await reader.read(65536)
            except TimeoutError:
                if asked:
                    raise Lost(f"silent for {2 * QUIET_S:g} s") from None
                asked = True
                writer.write(hiredis.pack_command(("PING",)))
                continue
            if not data:
                raise Lost("closed the connection")
            asked = False
            replies.feed(data)
            while (reply := replies.gets()) is not False:
                if number == len(self._greeting):
                    self._learn(reply, address)
                else:
                    self._take(reply)
                number += 1
            if self._others and time.monotonic() - self._heard_at > DEAF_S:
                raise Lost("hears nothing")

    def _learn(self, reply: object, address: CountersAddress) -> None:
        """What other nodes there are; it may be none of a cluster's, or not allow us to know."""
        with contextlib.suppress(ValueError):
            self._others = map_of(address, reply).addresses if isinstance(reply, list) else ()

    def _take(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise Lost(f"answers {str(reply).partition(' ')[0]}")
        if not isinstance(reply, list) or not reply:
            return
        if reply[0] in (b"subscribe", b"psubscribe"):
            self._up()
        elif reply[0] in (b"message", b"pmessage") and (said := decoded(reply[-1])):
            self._hear(said)

    def _hear(self, said: Said) -> None:
        self._heard_at = time.monotonic()
        if said.health is not None:
            self._heard.set(time.time())
            self._states.take_health(said.gateway, said.states())
        self._states.take_rests(said.all_rests())
        if said.factors is not None and self._factors:
            self._factors.take(said.gateway, said.all_factors())
        if said.figures is not None and self._figures:
            self._figures.take(said.gateway, said.figures.known())

    def _up(self) -> None:
        self._listens = True
        if self._told_down:
            self._told_down = False
            log.info("feed is back")

    def _down(self, reason: str) -> None:
        """One line per change of state, and none for what is back before anything is forgotten."""
        now = time.monotonic()
        if self._listens:
            self._listens, self._silent_since = False, now
        if not self._told_down and now - self._silent_since >= FORGET_S:
            self._told_down = True
            log.warning("feed is away: targets count as good", reason=reason)


_running: list[Subscriber] = []  # a task that nobody refers to may be collected


def start(factors: Factors | None = None, figures: Figures | None = None) -> TargetStates:
    """What a worker's plans go by, kept up to date from now on, the other two too; called in the worker's loop."""
    states = TargetStates()
    subscriber = Subscriber(counters_address(), gateway_id(), states, factors, figures)
    subscriber.start()
    _running.append(subscriber)
    return states
