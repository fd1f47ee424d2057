"""Who has a place on an engine's replicas, the same on all of them. Pure.

First come, first served: while there are places, whatever is wanted gets one. When all are taken, a live version that
is asked for, or one that is to become live, gets the place of a staged one, or else of the live one that was used
longest ago; only if its own files were found to be good, and only if no request runs on that one. What has just come
stays for a while. What gives way is hidden from workers first, and unloaded when all of them have heard of that.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from engines.loading.keeping import Seen
from engines.loading.next_step import Rank, Wanted

STAY_S = 10.0  # so that those who take turns get something done in between
LOADING_S = 60.0  # the same, for one that is being loaded
LEAVE_S = 3.0  # a worker takes what it is told within 2.5 s, or is killed (headgate/supervise/watchdog.py)
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Seats:
    """`seated`: who has a place, in the order of loading. `leaving`: live ones that may still get requests.

    `unverified`: who would get another one's place if its files were known to be good. `gone`: who has just lost its
    place, and to what. `came`: live ones that have just got one because somebody asks for them.
    """

    seated: tuple[str, ...] = ()
    leaving: frozenset[str] = frozenset()
    unverified: tuple[str, ...] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    came: tuple[str, ...] = ()


@dataclass(slots=True)
class _Round:
    """What one round goes by, and what it has come to."""

    known: dict[str, Wanted]
    seen: Seen
    now: float
    places: int
    free: int
    unverified: list[str] = field(default_factory=list)
    promised: set[str] = field(default_factory=set)  # places of these, to those whose files are being verified
    gone: dict[str, str] = field(default_factory=dict)
    came: list[str] = field(default_factory=list)


class Seating:
    """One engine's. Times are a monotonic clock's, in seconds."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # who has a place, and until when it surely keeps that
        self._loading: set[str] = set()  # those of them that came for somebody, and that no replica has yet
        self._left: dict[str, float] = {}
        self._live: frozenset[str] = frozenset()
        self._waiting: dict[str, None] = {}  # in the order of their coming

    def take(
        self, wanted: Collection[Wanted], places: int, seen: Seen, now: float, verified: Collection[str]
    ) -> Seats:
        """A round. `places`: as many as all replicas have. `verified`: whose files were found to be good."""
        known = {one.name: one for one in wanted if one.rank is not Rank.PREVIOUS}
        self._until = {name: until for name, until in self._until.items() if name in known}
        previous = sum(one.rank is Rank.PREVIOUS for one in wanted)
        work = _Round(known, seen, now, places, places - len(self._until) - previous)
        self._note(work)
        self._drop(work)
        self._fill(work, [one for one in known.values() if one.name in seen.resident and one.name not in self._left])
        self._seat_waiting(work, verified)
        self._fill(work, list(known.values()))
        self._live = frozenset(name for name, one in known.items() if one.rank is Rank.LIVE)
        leaving = {one for one, at in self._left.items() if one in self._live and now < at + LEAVE_S}
        seated = tuple(sorted(self._until, key=lambda name: _urgency(known[name])))
        return Seats(seated, frozenset(leaving), tuple(work.unverified), work.gone, tuple(work.came))

    def is_full_for_good(self, name: str, places: int) -> bool:
        """Whether no place can come for it: all are those of live versions of its own adapter."""
        own = [one for one in self._until if one in self._live and _adapter(one) == _adapter(name)]
        return name not in self._until and len(own) >= places

    def _note(self, work: _Round) -> None:
        self._left = {name: at for name, at in self._left.items() if name in work.known and name not in self._until}
        live = {name for name in self._until if work.known[name].rank is Rank.LIVE}
        self._loading &= self._until.keys()
        for name in (self._loading & work.seen.resident) | (live - self._live):  # from here on it is of use
            self._until[name] = work.now + STAY_S
        self._loading -= work.seen.resident
        for name in [name for name in self._waiting if not _waits(work.known.get(name)) or name in self._until]:
            del self._waiting[name]
        for name, one in work.known.items():
            if _waits(one) and name not in self._until:
                self._waiting.setdefault(name)

    def _drop(self, work: _Round) -> None:
        """`max_loras` was lowered, or others have loaded more."""
        going = sorted(self._until, key=lambda name: (work.known[name].rank, -work.known[name].used, name))
        for name in going[max(work.places, 0) :]:
            self._leave(work, name, "places")

    def _seat_waiting(self, work: _Round, verified: Collection[str]) -> None:
        for name in list(self._waiting):
            one = work.known[name]
            if work.free > 0:
                work.free -= 1
            elif (victim := self._victim(work, one)) is None:
                continue
            elif name not in verified:
                work.unverified.append(name)
                work.promised.add(victim)
                continue
            else:
                self._leave(work, victim, "promotion" if one.rank is Rank.AWAITED else "demand")
            self._seat(work, one)

    def _seat(self, work: _Round, one: Wanted) -> None:
        """It has come for somebody."""
        self._until[one.name] = work.now + LOADING_S
        self._loading.add(one.name)
        self._waiting.pop(one.name, None)
        self._left.pop(one.name, None)
        if one.rank is Rank.LIVE:
            work.came.append(one.name)

    def _fill(self, work: _Round, some: Collection[Wanted]) -> None:
        """What is there keeps its place, and what nobody asks for is loaded as well, as long as there are places."""
        others = [one for one in some if one.name not in self._until]
        for one in sorted(
            others, key=lambda one: (one.name not in work.seen.resident, one.rank, -one.used, one.name)
        ):
            if work.free <= 0:
                return
            work.free -= 1
            self._until[one.name] = _NEVER
            self._left.pop(one.name, None)
            self._waiting.pop(one.name, None)

    def _leave(self, work: _Round, name: str, why: str) -> None:
        del self._until[name]
        self._loading.discard(name)
        self._left[name] = work.now
        work.gone[name] = why

    def _victim(self, work: _Round, comer: Wanted) -> str | None:
        some = [one for one in self._may_go(work) if not _is_own_live(one, comer)]
        return min(some, key=lambda one: (-one.rank, one.used, one.name)).name if some else None

    def _may_go(self, work: _Round) -> Iterator[Wanted]:
        for name, until in self._until.items():
            one = work.known[name]
            if one.rank is Rank.AWAITED or one.pinned or name in work.seen.busy or name in work.promised:
                continue
            if one.rank is Rank.STAGED or work.now >= until:
                yield one


def _waits(one: Wanted | None) -> bool:
    return one is not None and (one.rank is Rank.AWAITED or (one.rank is Rank.LIVE and one.asked))


def _is_own_live(one: Wanted, comer: Wanted) -> bool:
    """A promotion never takes the place of what it is to follow: that is asked for until then."""
    return comer.rank is Rank.AWAITED and one.rank is Rank.LIVE and _adapter(one.name) == _adapter(comer.name)


def _adapter(name: str) -> str:
    return name.rpartition("@")[0]


def _urgency(one: Wanted) -> tuple[bool, int, float, str]:
    """What somebody waits for first."""
    return (not _waits(one), one.rank, -one.used, one.name)
