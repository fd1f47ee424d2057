"""The tables of a running worker: what its parts have made of one snapshot, replaced all at once.

Handlers ask `holder.current` in every call and keep what they got for as long as the call lasts. Beside it,
`holder.following` has what the database says, which goes on row by row, and `holder.reserve` is the worker's limiter.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from headgate.directory.following import Following
from headgate.grpc_server import CallFailed, Metadata, Status
from headgate.limiting import Ask, Decision
from headgate.snapshot import Snapshot
from headgate.tenants import Tenants

T = TypeVar("T")

# Decides, at once where there is no limit. Raises CallFailed where nothing can be decided. The call is Envoy's.
Reserve = Callable[[Ask, Metadata], Decision | Awaitable[Decision]]


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


def _nobody(_ask: Ask, _call: Metadata) -> Decision:
    raise CallFailed(Status.UNIMPLEMENTED, "there is no limiter in this worker")


class Holder:
    """Where the current generation is, and the directory, which goes on changing; and who decides on limits."""

    def __init__(self, snapshot: Snapshot, following: Following | None = None) -> None:
        self._kinds: tuple[Callable[[Snapshot], Any], ...] = ()
        self.following = following or Following()
        self.reserve: Reserve = _nobody
        self.current = Generation(snapshot, (), self.following)

    def add(self, kind: Callable[[Snapshot], Any]) -> None:
        """Has `kind` make its object of this snapshot and of all that follow."""
        self._kinds += (kind,)
        self.current = Generation(self.current.snapshot, self._kinds, self.following)

    def swap(self, snapshot: Snapshot) -> None:
        """Takes the next generation. Raises what a kind raises; then nothing has changed."""
        self.current = Generation(snapshot, self._kinds, self.following)
