"""Which replica has which GPUs, from before its process starts until it has ended.

One that drains has its own until then: an engine that is started there meanwhile finds no memory left, and ends.
"""

import asyncio
from collections.abc import Collection


class GpusHeld:
    """Of all engines of this gateway, by the replicas' names."""

    def __init__(self) -> None:
        self._held: dict[str, frozenset[int]] = {}
        self._fewer = asyncio.Event()

    def take(self, name: str, gpus: Collection[int]) -> None:
        """From now on they are this replica's."""
        self._held[name] = frozenset(gpus)

    def give_back(self, name: str) -> None:
        """Its process has ended."""
        self._held.pop(name, None)
        self._fewer.set()
        self._fewer = asyncio.Event()

    def are_free(self, name: str, gpus: Collection[int]) -> bool:
        """Whether no other replica has one of them."""
        return all(held.isdisjoint(gpus) for other, held in self._held.items() if other != name)

    async def until_free(self, name: str, gpus: Collection[int]) -> None:
        """Wait until no other replica has one of them."""
        while not self.are_free(name, gpus):
            await self._fewer.wait()
