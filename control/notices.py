"""Between control processes, through the counters: that the database has a new version. Nobody relies on it.

A thread with an event loop of its own. What can't be told is not kept: everybody asks the database twice a second.
"""

import asyncio
import threading
from collections.abc import Callable

import hiredis
import structlog

from headgate.counters.address import CountersAddress, parsed
from headgate.counters.client import Counters, Unavailable
from headgate.feed.listener import Listener
from headgate.feed.messages import DIRECTORY_CHANNEL

TIMEOUT_S = 1.0
END_S = 3.0

log = structlog.get_logger()


class Notices:
    """`heard` is called with versions, in this thread. `tell` may be called from any."""

    def __init__(self, counters_url: str, heard: Callable[[int], None]) -> None:
        self._address = parsed(counters_url)
        self._heard = heard
        self._version = 0
        self._news, self._stop = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        """Connect, in the background."""
        self._thread.start()
        self._started.wait()

    def close(self) -> None:
        """Tell and hear no more."""
        self._call(self._stop.set)
        self._thread.join(END_S)

    def tell(self, version: int) -> None:
        """Others may want to look."""
        self._version = max(self._version, version)
        self._call(self._news.set)

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:  # the thread's boundary: without notices everything is half a second later
            log.exception("directory: notices have ended")
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        counters, ear = Counters(self._address, TIMEOUT_S), _Ear(self._address, self._heard)
        counters.start()
        ear.start()
        telling = asyncio.create_task(self._tell(counters))
        await self._stop.wait()
        telling.cancel()
        await asyncio.wait({telling})
        await ear.close()
        await counters.close()

    async def _tell(self, counters: Counters) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                reply = await counters.publish(DIRECTORY_CHANNEL, str(self._version))
            except Unavailable:
                continue
            if isinstance(reply, hiredis.ReplyError):
                log.warning("directory: the counters refuse to publish", reason=str(reply).partition(" ")[0])


class _Ear(Listener):
    def __init__(self, address: CountersAddress, heard: Callable[[int], None]) -> None:
        super().__init__(address, ("SUBSCRIBE", DIRECTORY_CHANNEL))
        self._heard = heard

    def hear(self, message: bytes) -> bool:
        """A version."""
        if not message.isdigit() or len(message) > 18:  # nothing that we have said
            return False
        self._heard(int(message))
        return True
