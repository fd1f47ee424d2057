"""The addresses of engines' names, looked up again and again beside everything else, as Envoy does it: IPv4 first.

A name that has no address any more keeps those it had: a name server that is away takes no engine.
"""

import asyncio
import ipaddress
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import structlog

AGAIN_S = 5.0  # Envoy's own time
MOST_ADDRESSES = 64  # of one name

log = structlog.get_logger()


class Names:
    """Ask with `of`; it never waits. Needs a running loop; `close` it."""

    def __init__(self) -> None:
        # Of their own: a name server that hangs must not hold up what else is done in threads.
        self._threads = ThreadPoolExecutor(16, "names")
        self._known: dict[str, tuple[str, ...]] = {}
        self._next: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def of(self, name: str) -> tuple[str, ...] | None:
        """The addresses, in order; none where it has none, None while nobody has said."""
        if _is_address(name):
            return (name,)
        if name not in self._asking and time.monotonic() >= self._next.get(name, 0.0):
            task = asyncio.create_task(self._ask(name))
            self._asking[name] = task
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return self._known.get(name)

    def close(self) -> None:
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _addresses, name)
        except (OSError, UnicodeError) as error:
            if self._known.get(name) is None:
                log.warning("an engine's name has no address", name=name, error=str(error))
                self._known[name] = ()
        else:
            self._known[name] = found
        self._next[name] = time.monotonic() + AGAIN_S


def _addresses(name: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    four = {str(address[0]) for family, *_, address in found if family is socket.AF_INET}
    six = {str(address[0]) for family, *_, address in found if family is socket.AF_INET6}
    return tuple(sorted(four or six))[:MOST_ADDRESSES]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
