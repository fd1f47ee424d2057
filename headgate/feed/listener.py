"""A connection to the counters that only listens.

Nobody waits for it. In a cluster any node will do, since they pass on to each other what is published; where one is
of no use the next one is tried.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod

import hiredis
import structlog

from headgate.counters.address import CountersAddress
from headgate.counters.cluster_map import map_of

CONNECT_TIMEOUT_S = 1.0
QUIET_S = 2.0  # without a word; then the server is asked whether it is there, and given as long to answer
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

log = structlog.get_logger()


class Lost(Exception):  # noqa: N818 - what happened, not what went wrong
    """The connection is of no use any more."""


class Listener(ABC):
    """Listens until it is closed; who makes one says what is done with what is heard.

    `deaf_s`: after so long without a message on a node of a cluster another one is listened to: this may be cut off.
    """

    def __init__(
        self, address: CountersAddress, *subscriptions: tuple[str, ...], deaf_s: float | None = None
    ) -> None:
        self._addresses = address.each()
        self._others: tuple[CountersAddress, ...] = ()  # of the same cluster, as a node has said
        self._tries = 0
        self._deaf_s = deaf_s
        self._greeting = address.greeting()
        self._commands: list[tuple[str, ...]] = [*self._greeting, ("CLUSTER", "SLOTS"), *subscriptions]
        self._heard_at = time.monotonic()
        self._keeper: asyncio.Task[None] | None = None

    @abstractmethod
    def hear(self, message: bytes) -> bool:
        """One message; whether it was one of ours."""

    def up(self) -> None:  # noqa: B027 - who has nothing to do then need not say so
        """It listens now."""

    def down(self, reason: str) -> None:  # noqa: B027 - likewise
        """It does not; called again and again while it tries."""

    def start(self) -> None:
        """Listen in the background of the running loop; once is enough."""
        if self._keeper is None:
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
                self.down(str(error) if isinstance(error, Lost) else type(error).__name__)
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
            if self._others and self._deaf_s and time.monotonic() - self._heard_at > self._deaf_s:
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
            self.up()
        elif reply[0] in (b"message", b"pmessage") and self.hear(reply[-1]):
            self._heard_at = time.monotonic()
