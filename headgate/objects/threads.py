"""Threads for calls of a store of objects, which may hang: they hold up nothing but each other.

A process that ends does not wait for them, as it would for those of the standard library's pools.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class StoreThreads:
    """`at_once` calls at a time; further ones wait for their turn."""

    def __init__(self, at_once: int, name: str) -> None:
        self._at_once, self._name = at_once, name
        self._asked: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._making = threading.Lock()
        self._made = 0

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """What comes of it. It may be cancelled before its turn, and not later."""
        made: Future[T] = Future()
        self._asked.put((made, work))
        with self._making:
            if self._made < self._at_once:
                self._made += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return made

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Who is cancelled waits no longer; the call goes to its end."""
        return await asyncio.wrap_future(self.begin(work))

    def _run(self) -> None:
        while True:
            made, work = self._asked.get()
            if not made.set_running_or_notify_cancel():
                continue
            try:
                made.set_result(work())
            except BaseException as error:  # noqa: BLE001 - a thread's boundary: whoever waits gets it
                made.set_exception(error)
