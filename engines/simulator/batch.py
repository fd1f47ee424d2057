"""Which requests an engine runs now and which wait, by vLLM's two limits. No IO but waiting.

A request waits until fewer than `max_running` run and, if it is for an adapter, until that adapter is among the
`max_adapters` that run at once; one that only its adapter keeps back is overtaken. 0 means no limit.
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from engines.simulator.record import Exchange


class Place:
    """One request's place in the batch, from its arrival to its end: an async context manager."""

    def __init__(
        self,
        batch: "Batch",
        exchange: Exchange,
        *,
        adapter: str | None,
        prompt_tokens: int,
        tokens: int,
        tokens_per_event: int,
        first_token: Callable[[float], None],
    ) -> None:
        self._batch = batch
        self._exchange = exchange
        self._arrived = time.monotonic()
        self._first_token = first_token
        self._tokens = tokens
        self._tokens_per_event = tokens_per_event
        self.admitted = asyncio.Event()
        self.adapter = adapter
        self.prompt_tokens = prompt_tokens
        self.whole = False
        """Whether all tokens of the answer have been generated; a stream's events tell by themselves."""

    @property
    def generated(self) -> int:
        """The tokens generated so far."""
        return self._tokens if self.whole else min(self._tokens, self._exchange.chunks_sent * self._tokens_per_event)

    def first_token(self, ago_s: float = 0.0) -> None:
        """Say that the first token is there, or was `ago_s` seconds ago."""
        self._first_token(time.monotonic() - self._arrived - ago_s)

    async def __aenter__(self) -> Self:
        self._batch.waiting[self] = None
        self._batch.admit()
        try:
            await self.admitted.wait()
        except asyncio.CancelledError:
            self._batch.leave(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._batch.leave(self)


class Batch:
    """The places of one engine, in the order of their arrival."""

    def __init__(self, max_running: int, max_adapters: int, left: Callable[[Place], None]) -> None:
        self._max_running = max_running
        self._max_adapters = max_adapters
        self._left = left
        self.running: dict[Place, None] = {}
        self.waiting: dict[Place, None] = {}

    @property
    def deferred(self) -> int:
        """How many wait for nothing but their adapter."""
        return len(self.waiting) if self._has_room() else 0

    def admit(self) -> None:
        """Let those run that may."""
        for place in list(self.waiting):
            if not self._has_room():
                return
            if self._has_adapter(place.adapter):
                del self.waiting[place]
                self.running[place] = None
                place.admitted.set()

    def leave(self, place: Place) -> None:
        """Forget a place; the next takes it."""
        self.waiting.pop(place, None)
        if place in self.running:
            del self.running[place]
            self._left(place)
        self.admit()

    def _has_room(self) -> bool:
        return not self._max_running or len(self.running) < self._max_running

    def _has_adapter(self, adapter: str | None) -> bool:
        used = {place.adapter for place in self.running} - {None}
        return adapter is None or adapter in used or not self._max_adapters or len(used) < self._max_adapters
