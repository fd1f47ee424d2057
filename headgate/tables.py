"""The tables of a running worker: what its parts have made of one snapshot, replaced all at once.

Handlers ask `holder.current` in every call and keep what they got for as long as the call lasts. Beside it,
`holder.following` has what the database says, which goes on row by row.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from headgate.directory.following import Following
from headgate.snapshot import Snapshot
from headgate.tenants import Tenants

T = TypeVar("T")


class Generation:
    """A snapshot and the objects that were made of it, by the class that makes them; and all tenants, by name."""

    def __init__(
        self, snapshot: Snapshot, kinds: tuple[Callable[[Snapshot], Any], ...], following: Following
    ) -> None:
        self.snapshot = snapshot
        self.tenants = Tenants(snapshot, following)
        self._made = {kind: kind(snapshot) for kind in kinds}

    def of(self, kind: Callable[[Snapshot], T]) -> T:
        """What `kind` has made of the snapshot; it must have been given to the holder."""
        return cast("T", self._made[kind])


class Holder:
    """Where the current generation is, and the directory, which goes on changing."""

    def __init__(self, snapshot: Snapshot, following: Following | None = None) -> None:
        self._kinds: tuple[Callable[[Snapshot], Any], ...] = ()
        self.following = following or Following()
        self.current = Generation(snapshot, (), self.following)

    def add(self, kind: Callable[[Snapshot], Any]) -> None:
        """Has `kind` make its object of this snapshot and of all that follow."""
        self._kinds += (kind,)
        self.current = Generation(self.current.snapshot, self._kinds, self.following)

    def swap(self, snapshot: Snapshot) -> None:
        """Takes the next generation. Raises what a kind raises; then nothing has changed."""
        self.current = Generation(snapshot, self._kinds, self.following)
