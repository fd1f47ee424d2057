"""The call of standing.lua, which changes nothing, and what its answer means. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.counters.limits import Limit, keys_of, packed
from headgate.counters.scripts import STANDING, Call, users_key


@dataclass(frozen=True, slots=True)
class StandingNow:
    """Where a limit stands. `left` is None where nothing is refused.

    `reserved` is what open requests hold; requests of sliding windows are `used` at once.
    """

    limit: Limit
    used: int
    reserved: int
    left: int | None
    reset_ms: int


def standing_call(tenant: str, limits: Sequence[Limit], now_ms: int | str = "") -> Call:
    """For `Counters.run`: any limits of one tenant, of any callers."""
    limits = tuple(limits)
    keys = [users_key(tenant)]
    for limit in limits:
        keys += keys_of(tenant, limit)
    return STANDING, tuple(keys), (now_ms, packed(limits), *(limit.user for limit in limits))


def read_standing(limits: Sequence[Limit], reply: Sequence[int]) -> tuple[StandingNow, ...]:
    """What the reply of `standing_call` says of each limit."""
    return tuple(
        StandingNow(limit, reply[at], reply[at + 1], reply[at + 2] if reply[at + 2] >= 0 else None, reply[at + 3])
        for at, limit in zip(range(0, 4 * len(limits), 4), limits, strict=True)
    )
