"""The call of reserve.lua and what its answer means. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from headgate.counters.limits import Applying, Limit
from headgate.counters.scripts import MOST_USERS, REMEMBER_MS, RESERVE, Call, member_of, record_key
from headgate.limits import Dimension, LimitRow

# Fewer output tokens than these (or than were asked for) are of no use: the request is refused.
LEAST_GRANT = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for: `output` tokens in each of `times` answers; 0 where none are made, as in embeddings.

    `fixed_nano` is what it costs whatever is granted, in nano-USD, `rate_nano` what one output token does, a decimal
    number as text. Fewer output tokens than `least` are of no use to it.
    """

    request_id: str
    epoch: str
    input: int = 0
    output: int = 0
    times: int = 1
    fixed_nano: int = 0
    rate_nano: str = "0"
    least: int = LEAST_GRANT


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a limit that refuses stands, this request included.

    `used` has what open requests reserved, `left` the credits of a burst. `reset_ms`: when all of it is left.
    """

    limit: Limit
    used: int
    left: int
    reset_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The limit that has room last, how much of it is used, and when it has some; -1 is never.

    `shared`: by all users of the tenant who have no counter of their own.
    """

    limit: Limit
    used: int
    wait_ms: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the script decided. `grant`: output tokens per answer.

    `closed`: the request had ended before its reservation came. `unknown`: the calendar's sums are not there, and
    nothing was reserved. `warned`: the soft limits that are passed, `warned_used` how much of each is used,
    of tokens and money without what running requests hold.
    """

    standings: tuple[Standing, ...] = ()
    refused: Refused | None = None
    closed: bool = False
    unknown: bool = False
    grant: int = 0
    warned: tuple[Limit, ...] = ()
    warned_used: tuple[int, ...] = ()


def reserve_call(
    applying: Applying,
    wish: Wish,
    lease_ms: int,
    now_ms: int | str = "",
    *,
    most_users: int = MOST_USERS,
    passed_ms: int = 0,
) -> Call:
    """For `Counters.run`. `lease_ms` is how long the reservation holds when nobody settles it.

    `passed_ms`: when the request was let through without the counters, with all of its `output`. Nothing refuses it
    now, and it counts at that moment; 0 for all others.
    """
    keys = (record_key(applying.tenant, wish.request_id), *applying.keys)
    arguments = (
        now_ms,
        applying.packed,
        member_of(wish.epoch, wish.request_id),
        lease_ms if applying.settles else 0,
        REMEMBER_MS,
        most_users,
        wish.input,
        wish.output,
        wish.times,
        wish.fixed_nano,
        wish.rate_nano,
        applying.key_id,
        applying.model,
        applying.user,
        wish.least,
        passed_ms,
    )
    return RESERVE, keys, arguments


def estimate_nano(wish: Wish, grant: int) -> int:
    """What the request may cost with this grant, as the script computes it."""
    # In its order: products of doubles depend on it.
    return wish.fixed_nano + ceil(float(wish.rate_nano) * wish.times * grant)


def amount_of(wish: Wish, dimension: Dimension, output: int) -> int:
    """What the request takes of a limit, with so many tokens in each of its answers."""
    made = output * wish.times
    if dimension == "input":
        return wish.input
    if dimension == "output":
        return made
    if dimension == "tokens":
        return wish.input + made
    return estimate_nano(wish, output) if dimension == "usd" else 1


def whole(row: LimitRow) -> int:
    """What one request may take at the very most, of a limit that refuses."""
    return (row.most or 0) + row.burst


def read_verdict(applying: Applying, reply: Sequence[int]) -> Verdict:
    """What the reply of `reserve_call` says."""
    number, wait_ms, grant, *rest = reply
    if number < 0:
        return Verdict(closed=number == -1, unknown=number == -2)
    limits = applying.limits
    end = 3 * len(limits)
    standings = tuple(
        Standing(limit, rest[at], rest[at + 1], rest[at + 2])
        for limit, at in zip(limits, range(0, end, 3), strict=True)
        if rest[at + 1] >= 0
    )
    refused = Refused(limits[number - 1], rest[3 * number - 3], wait_ms, shared=grant < 0) if number else None
    warned, used = tuple(limits[at - 1] for at in rest[end::2]), tuple(rest[end + 1 :: 2])
    return Verdict(standings, refused, grant=max(0, grant), warned=warned, warned_used=used)
