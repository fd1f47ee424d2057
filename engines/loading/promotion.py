"""When a staged version may become live: what its engine's replicas have come to with it. Pure.

All replicas that are ready must have it and have answered by it; one that can't is enough for a no. Replicas that
are starting or away are asked nothing: they get what is wanted before requests get to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engines.loading.reasons import Reason


@dataclass(frozen=True, slots=True)
class Fits:
    """It is loaded, and has answered."""


@dataclass(frozen=True, slots=True)
class Fails:
    """It can't be served. `text` is for people: it names no path and no address."""

    reason: Reason
    text: str


Outcome = Fits | Fails | None  # None: not known yet


def verdict(outcomes: Mapping[str, Outcome]) -> Outcome:
    """Of all ready replicas' outcomes, by address; None where one is not known yet, or no replica is ready."""
    for address in sorted(outcomes):
        if isinstance(failed := outcomes[address], Fails):
            return failed
    return Fits() if outcomes and all(outcomes.values()) else None
