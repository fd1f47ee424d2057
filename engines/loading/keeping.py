"""What an engine's replicas are to have: what the directory has, and what it had a moment ago. Pure.

A version that was live stays for `GRACE_S`, in which every worker hears that it is so no more, and for as long as a
request may have waited in the gateway after it was planned; one that is wanted no more stays until a look after that
shows no request on it anywhere. So no request finds the version gone that it was planned for. A staged one stays
until the directory has it as such no more: until then it may be made live at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engines.loading.next_step import Rank, Wanted

ASKED_S = 5.0  # who waits for a version says so every second
GRACE_S = 10.0  # workers take a change of the directory within 1 s, and know that they are behind where they can't
_NOBODY: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the replicas that answer have, by looks that began at `at` or later. `busy`: with requests on it."""

    at: float
    resident: frozenset[str]
    busy: frozenset[str]


class Keeping:
    """One engine's. Times are a monotonic clock's, in seconds."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        self._called_until: dict[str, float] = {}  # requests may have been planned for it until then
        self._known: set[str] = set()

    def wanted(
        self,
        ranks: Mapping[str, Rank],
        seen: Seen,
        now: float,
        waits_s: float = 0.0,
        called: Mapping[str, float] = _NOBODY,
    ) -> tuple[Wanted, ...]:
        """All that is wanted now. `ranks`: versions by name, as the directory has them. Requests wait `waits_s`.

        `called`: when workers last had a request for one.
        """
        self._note(ranks, seen, now, now + GRACE_S + waits_s)
        self._used |= {name: max(called[name], self._used[name]) for name in called.keys() & ranks.keys()}
        first = [
            Wanted(
                name,
                rank,
                self._used[name],
                asked=now < called.get(name, -ASKED_S) + ASKED_S,
                pinned=self._was_called(name, rank, now),
            )
            for name, rank in ranks.items()
        ]
        kept = [
            Wanted(name, Rank.PREVIOUS, self._used.get(name, 0.0), pinned=self._may_be_called(name, now))
            for name in seen.resident - ranks.keys()
            if name in seen.busy or self._may_be_called(name, seen.at)
        ]
        return (*first, *kept)

    def _note(self, ranks: Mapping[str, Rank], seen: Seen, now: float, until: float) -> None:
        for name, rank in ranks.items():
            self._used.setdefault(name, now)
            if rank is Rank.LIVE:
                self._called_until[name] = until
        for name in seen.resident - self._known - ranks.keys():  # nobody here knows since when it is wanted no more
            self._called_until.setdefault(name, until)
        for name in seen.busy:
            self._used[name] = now
        self._known = {*ranks, *seen.resident}
        self._used = {name: at for name, at in self._used.items() if name in self._known}
        self._called_until = {name: at for name, at in self._called_until.items() if name in self._known or at > now}

    def _was_called(self, name: str, rank: Rank, now: float) -> bool:
        """Live ones are called all the time: where they give way, workers hear of that first."""
        return rank is not Rank.LIVE and self._may_be_called(name, now)

    def _may_be_called(self, name: str, at: float) -> bool:
        return at < self._called_until.get(name, 0.0)
