"""What is next on one replica so that it gets to have the adapters that are wanted. Pure.

The rules: never more than its places; what requests run or wait on, or may still be sent to, is never unloaded; live
versions come first, then those that are to become live, then those that were, each the latest used first. What is
wanted no more is kept where there is a reason, and never loaded again.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass


class Rank(enum.IntEnum):
    """The order in which versions get a replica's places."""

    LIVE = 0  # clients are answered by it
    AWAITED = 1  # is to become live as soon as all replicas have it
    STAGED = 2  # can become live at once, as long as all replicas have it
    PREVIOUS = 3  # was wanted, and requests run on it or may still be sent to it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version by its name on engines. `used`: when the engine last had a request for it, or it became wanted.

    `pinned`: not to be unloaded, whoever needs its place.
    """

    name: str
    rank: Rank
    used: float = 0.0
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Resident:
    """An adapter that the replica has. `busy`: requests run or wait on it there. `ours`: nobody else loads it."""

    name: str
    busy: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """Load this version."""

    name: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload this one. `evicted`: it is still wanted, and another one gets its place."""

    name: str
    evicted: bool


Step = Load | Unload


def seats(wanted: Iterable[Wanted], places: int) -> tuple[str, ...]:
    """The versions that are to have a place, of those that are loaded at all, in the order of loading."""
    ranked = sorted(
        (one for one in wanted if one.rank is not Rank.PREVIOUS), key=lambda one: (one.rank, -one.used, one.name)
    )
    return tuple(one.name for one in ranked[: max(places, 0)])


def next_step(
    wanted: Collection[Wanted], residents: Collection[Resident], places: int, resting: Collection[str] = ()
) -> Step | None:
    """One step; None where nothing is left to do, or what there is has to wait for requests to end.

    `places`: as many adapters as the replica may have, others' included. `resting`: versions not to be loaded just
    now, because it has just failed; their places stay theirs.
    """
    held = {resident.name for resident in residents}
    seated = seats(wanted, places - sum(not resident.ours for resident in residents))
    missing = [name for name in seated if name not in held and name not in resting]
    if missing and len(held) < places:
        return Load(missing[0])
    victim = _victim(wanted, residents, seated)
    known = {one.name for one in wanted}
    if victim is not None and (missing or len(held) > places or victim not in known):
        return Unload(victim, evicted=victim in known)
    return None


def _victim(wanted: Collection[Wanted], residents: Collection[Resident], seated: Collection[str]) -> str | None:
    """Who goes first: who is not wanted at all, then the last by rank, and of these who was used longest ago."""
    known = {one.name: one for one in wanted}
    kept = {*seated, *(one.name for one in wanted if one.pinned)}
    free = [one.name for one in residents if one.ours and not one.busy and one.name not in kept]
    return min(free, key=lambda name: _worth(known.get(name), name), default=None)


def _worth(one: Wanted | None, name: str) -> tuple[int, float, str]:
    return (-len(Rank), 0.0, name) if one is None else (-one.rank, one.used, name)
