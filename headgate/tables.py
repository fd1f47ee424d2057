"""The tables of a running worker: what its parts have made of one snapshot, replaced all at once.

Handlers ask `holder.current` in every call and keep what they got for as long as the call lasts.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from headgate.snapshot import Snapshot

T = TypeVar("T")


class Generation:
    """A snapshot and the objects that were made of it, by the class that makes them."""

    def __init__(self, snapshot: Snapshot, kinds: tuple[Callable[[Snapshot], Any], ...]) -> None:
        self.snapshot = snapshot
        self._made = {kind: kind(snapshot) for kind in kinds}

    def of(self, kind: Callable[[Snapshot], T]) -> T:
        """What `kind` has made of the snapshot; it must have been given to the holder."""
        return cast("T", self._made[kind])


class Holder:
    """Where the current generation is."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._kinds: tuple[Callable[[Snapshot], Any], ...] = ()
        self.current = Generation(snapshot, ())

    def add(self, kind: Callable[[Snapshot], Any]) -> None:
        """Has `kind` make its object of this snapshot and of all that follow."""
        self._kinds += (kind,)
        self.current = Generation(self.current.snapshot, self._kinds)

    def swap(self, snapshot: Snapshot) -> None:
        """Takes the next generation. Raises what a kind raises; then nothing has changed."""
        self.current = Generation(snapshot, self._kinds)
