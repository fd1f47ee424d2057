"""What is next on one replica so that it gets to have the adapters that have a place. Pure.

The rules: never more than its places; what requests run or wait on, or may still be sent to, is never unloaded. What
has no place is kept where there is a reason, and never loaded again. Who has a place: engines/loading/seating.py.
"""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass


class Rank(enum.IntEnum):
    """What a version is to its adapter; the last ones give way first."""

    LIVE = 0  # clients are answered by it
    AWAITED = 1  # is to become live as soon as all replicas have it
    STAGED = 2  # can become live at once, as long as all replicas have it
    PREVIOUS = 3  # was wanted, and requests run on it or may still be sent to it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version by its name on engines. `used`: when the engine last had a request for it, or it became wanted.

    `asked`: somebody wants to be answered by it now. `pinned`: requests may still be sent to it, whatever it is now;
    it is not unloaded, whoever needs its place.
    """

    name: str
    rank: Rank
    used: float = 0.0
    asked: bool = False
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


def next_step(
    wanted: Collection[Wanted],
    seated: Sequence[str],
    residents: Collection[Resident],
    places: int,
    resting: Collection[str] = (),
) -> Step | None:
    """One step; None where nothing is left to do, or what there is has to wait for requests to end.

    `seated`: who has a place, in the order of loading. `places`: as many adapters as the replica may have, others'
    included. `resting`: versions not to be loaded just now, because it has just failed; their places stay theirs.
    """
    held = {resident.name for resident in residents}
    missing = [name for name in seated if name not in held and name not in resting]
    if missing and len(held) < places:
        return Load(missing[0])
    victim = _victim(wanted, residents, seated)
    known = {one.name for one in wanted}
    if victim is not None and (missing or len(held) > places or victim not in known):
        return Unload(victim, evicted=victim in known)
    return None


def _victim(wanted: Collection[Wanted], residents: Collection[Resident], seated: Collection[str]) -> str | None:
    """Who goes first: who is not wanted at all, then the last by rank, and of these who was used longest ago.

    A staged one goes when the directory has it as such no more: until then it may be made live at once.
    """
    known = {one.name: one for one in wanted}
    kept = {*seated, *(one.name for one in wanted if one.pinned or one.rank is Rank.STAGED)}
    free = [one.name for one in residents if one.ours and not one.busy and one.name not in kept]
    return min(free, key=lambda name: _worth(known.get(name), name), default=None)


def _worth(one: Wanted | None, name: str) -> tuple[int, float, str]:
    return (-len(Rank), 0.0, name) if one is None else (-one.rank, one.used, name)
