"""A tenant's limits as the reserve script takes them, and what its answer means. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headgate.counters.scripts import limit_key, member_of, open_key, record_key
from headgate.snapshot import LimitsRow

# Reservations with nothing to give back are remembered for copies of the call alone: Envoy asks again after a reset.
_COPIES_MS = 30_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. A window is `units` buckets of `unit_ms`; slots have neither."""

    name: str
    text: str
    kind: str
    cap: int
    unit_ms: int = 0
    units: int = 0

    @property
    def window_s(self) -> float:
        """The window's length; 0 for slots."""
        return self.unit_ms * self.units / 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a limit is left after this request, and when all of it is."""

    limit: Limit
    left: int
    reset_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The limit that has no room, how much of it is used, and when it may have some."""

    limit: Limit
    wait_ms: int
    used: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the script decided. `closed`: the request had ended before its reservation came."""

    standings: tuple[Standing, ...]
    refused: Refused | None = None
    closed: bool = False


class TenantLimits:
    """The limits of one tenant, prepared for the call."""

    def __init__(self, tenant: str, row: LimitsRow) -> None:
        self.tenant = tenant
        self.limits = tuple(_limits(row))
        self.windows = tuple(limit for limit in self.limits if limit.kind == "window")
        self.holds = any(limit.kind == "slots" for limit in self.limits)
        self._open = open_key(tenant)
        self._keys = tuple(self._key(limit) for limit in self.limits)
        self._arguments = tuple(
            argument for limit in self.limits for argument in (limit.kind, limit.cap, 1, limit.unit_ms, limit.units)
        )

    def keys(self, request_id: str) -> tuple[str, ...]:
        """KEYS of the reserve script."""
        return (record_key(self.tenant, request_id), self._open, *self._keys)

    def arguments(self, epoch: str, request_id: str, lease_ms: int, now_ms: int | str = "") -> tuple[str | int, ...]:
        """ARGV of the reserve script; without `now_ms` the server's clock counts."""
        lease_ms = lease_ms if self.holds else 0
        return (now_ms, member_of(epoch, request_id), lease_ms, lease_ms or _COPIES_MS, *self._arguments)

    def verdict(self, reply: Sequence[int]) -> Verdict:
        """What the script's reply says."""
        number, wait_ms = reply[0], reply[1]
        standings = tuple(
            Standing(limit, reply[2 + 2 * at], reply[3 + 2 * at])
            for at, limit in enumerate(self.limits)
            if 3 + 2 * at < len(reply)
        )
        refused = None
        if number > 0:
            limit = self.limits[number - 1]
            refused = Refused(limit, wait_ms, limit.cap - standings[number - 1].left)
        return Verdict(standings, refused, closed=number < 0)

    def _key(self, limit: Limit) -> str:
        # The tenant's slots are its open reservations.
        return self._open if limit.kind == "slots" else limit_key(self.tenant, limit.name)


def _limits(row: LimitsRow) -> Iterator[Limit]:
    if row.rpm is not None:
        yield Limit("rpm", "requests per minute", "window", row.rpm, 1000, 60)
    if row.rps is not None:
        yield Limit("rps", "requests per second", "window", row.rps, 50, 20)
    if row.concurrency is not None:
        yield Limit("concurrency", "requests at the same time", "slots", row.concurrency)


def tightest(standings: Sequence[Standing]) -> Standing | None:
    """Of the limits that count requests, the one with the fewest left."""
    counted = [standing for standing in standings if standing.limit.kind == "window"]
    return min(counted, key=lambda standing: standing.left, default=None)


def whole_seconds(milliseconds: float) -> int:
    """Rounded up, at least 1: `retry-after` must not send anybody back too early."""
    return max(1, math.ceil(milliseconds / 1000))
