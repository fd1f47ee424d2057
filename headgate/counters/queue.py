"""The calls of admit.lua, release.lua and look.lua, what they answer, and what they tell those who listen. Pure."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from headgate.counters.scripts import ADMIT, LOOK, RELEASE, Argument, Call, member_of, queue_keys
from headgate.limits import PRIORITIES, Priority

QUEUE_CHANNEL = "hg:queue"  # of all engines, for all workers of all gateways
# Who waits says so every second or so; after this it is not there any more.
BEAT_MS = 5000
NOBODY = -1  # of the replicas as yet
ANYWHERE = ""  # in the place of a replica: the whole engine, while nobody says anything of its replicas
# A request's end may be known before its slot is taken, where the call was under way: that takes none then.
REMEMBER_MS = 15_000


class Verdict(enum.IntEnum):
    """What becomes of a request."""

    SLOT = 1
    WAITS = 0
    ENDED = -1
    FULL = -2
    TOO_LATE = -3
    TAKEN_OVER = -4  # another call has come for the request since


@dataclass(frozen=True, slots=True)
class Places:
    """The replicas of an engine that a gateway sees, and how many slots each has.

    Those come first that a request had better go to. Where `only` is not 0 it goes to none but so many of these, with
    NOBODY to none as yet: it keeps its place in the line.
    """

    replicas: tuple[tuple[str, int], ...] = ()
    only: int = 0


NOWHERE = Places()


@dataclass(frozen=True, slots=True)
class Seat:
    """Who wants a slot of an engine. `length` None: it does not wait, and takes one whether there is one or not.

    `patience_ms` is how long it would wait, None for ever. `caller` is the call that asks: where another worker is
    asked for a request, what that one has been given is not this one's to give back. `gateway` is who sees `places`.
    """

    pool: str
    request_id: str
    epoch: str
    tenant: str
    model: str
    lease_ms: int
    places: Places = NOWHERE
    priority: Priority = "normal"
    share: int = 1
    length: int | None = None
    patience_ms: int | None = None
    caller: str = ""  # letters and digits
    gateway: str = ""

    @property
    def member(self) -> str:
        """What it is called in the engine's slots, and in its queue."""
        return member_of(self.epoch, self.request_id)


@dataclass(frozen=True, slots=True)
class Admitted:
    """How many are `ahead`, when its turn is expected (None: nobody can say), how long it has waited.

    With a slot also the replica that has it.
    """

    verdict: Verdict
    ahead: int
    expected_ms: int | None
    waited_ms: int
    replica: str = ANYWHERE


@dataclass(frozen=True, slots=True)
class Looked:
    """How many slots of an engine are held at replicas that are there, how many requests wait for one, and whether
    others would have to.
    """

    held: int
    waiting: int
    is_full: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Whether an engine has no slot for one more, and the members whose turn it is."""

    pool: str
    is_full: bool
    called: tuple[str, ...]


def engine_of(pool: str) -> str:
    """The engine whose slots are called so: of a managed one its gateway follows (headgate/slot_tables.py)."""
    return pool.partition("/")[0]


def admit_call(seat: Seat, now_ms: int | str = "", *, again: bool = False) -> Call:
    """For `Counters.run`; again and again for one that waits. `again`: this caller has had an answer."""
    arguments = (
        now_ms,
        seat.member,
        PRIORITIES.index(seat.priority) + 1,
        seat.tenant,
        seat.share,
        seat.model,
        -1 if seat.length is None else seat.length,
        seat.lease_ms,
        BEAT_MS,
        -1 if seat.patience_ms is None else seat.patience_ms,
        seat.places.only,
        seat.caller,
        0 if again else 1,
        seat.gateway,
        *_in_a_row(seat.places.replicas),
    )
    return ADMIT, queue_keys(seat.pool), arguments


def read_admitted(reply: tuple[int, int, int, int, bytes]) -> Admitted:
    """What the reply of `admit_call` says."""
    verdict, ahead, expected_ms, waited_ms, replica = reply
    return Admitted(Verdict(verdict), ahead, None if expected_ms < 0 else expected_ms, waited_ms, replica.decode())


def release_call(
    pool: str, members: Sequence[str], remember_ms: int = REMEMBER_MS, now_ms: int | str = "", caller: str = ""
) -> Call:
    """Gives back what these hold, with a `caller` what was given to that one.

    With `remember_ms` 0 they may come again: only who asked for them has gone.
    """
    return RELEASE, queue_keys(pool), (now_ms, remember_ms, caller, *members)


def look_call(pool: str, gateway: str, replicas: Mapping[str, int], now_ms: int | str = "") -> Call:
    """How an engine stands. `replicas`: those that this gateway sees, with their slots. Who listens is told."""
    return LOOK, queue_keys(pool), (now_ms, gateway, *_in_a_row(replicas.items()))


def read_looked(reply: Sequence[int]) -> Looked:
    """What the reply of `look_call` says."""
    held, waiting, is_full = reply
    return Looked(held, waiting, bool(is_full))


def read_notice(message: bytes) -> Notice | None:
    """None for what is no notice of ours."""
    try:
        slots, is_full, called = msgspec.msgpack.decode(message, type=tuple[str, bool, list[str]])
    except (msgspec.DecodeError, ValueError):
        return None
    pool = slots.partition("{engine/")[2].partition("}")[0]
    return Notice(pool, is_full, tuple(called))


def _in_a_row(replicas: Iterable[tuple[str, int]]) -> list[Argument]:
    return [said for pair in replicas for said in pair]
