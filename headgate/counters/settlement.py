"""The call of settle.lua and what its answer means; records and alerts as the scripts write them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from headgate.counters.limits import Applying, Limit, ends_of, keys_of
from headgate.counters.scripts import (
    MOST_USERS,
    REMEMBER_MS,
    SETTLE,
    Call,
    alerts_key,
    bases_key,
    limit_of,
    member_of,
    open_key,
    record_key,
    told_key,
    users_key,
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A request that has ended and what it really took. `time_ms` is when it began.

    `missed`: when nothing of it was reserved, it is added to the sliding windows of `applying` after the event.
    `lease_ms`: for how long from its beginning its limiter may reserve it yet, and takes nothing then.
    """

    request_id: str
    epoch: str
    time_ms: int
    applying: Applying
    requests: int = 1
    input: int = 0
    output: int = 0
    usd_nano: int = 0
    missed: bool = True
    lease_ms: int = 0


@dataclass(frozen=True, slots=True)
class Sum:
    """What this gateway has charged in one calendar window of one limit. A lower `sequence` changes nothing."""

    limit: Limit
    window_ms: int
    value: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Alert:
    """A soft limit that was crossed, `name` as in `limit_name`. `used` is without reserved tokens and money."""

    name: str
    window_ms: int
    used: int
    soft: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class SettledReply:
    """How many of the requests were open, and the alerts that this gateway has not confirmed yet.

    `packed` are the alerts as the next call confirms them.
    """

    freed: int
    alerts: tuple[Alert, ...]
    packed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What one open request reserved, and when: `output` of all its answers, `grant` of each."""

    grant: int
    input: int = 0
    output: int = 0
    usd_nano: int = 0
    key_id: str = ""
    model: str = ""
    user: str = ""
    time_ms: int = 0


def settle_call(
    tenant: str,
    settled: Sequence[Settled],
    sums: Sequence[Sum] = (),
    gateway: str = "",
    *,
    base: str = "",
    told: Sequence[bytes] = (),
    now_ms: int | str = "",
    most_users: int = MOST_USERS,
) -> Call:
    """For `Counters.run`: closes these requests and sets these sums of `gateway`, all at once.

    `base`, a tenant's `base_key`, says that with these all sums of this gateway are there. `told` are alerts that
    `gateway` has taken note of: others are in the reply, again if need be.
    """
    records = [record_key(tenant, one.request_id) for one in settled]
    keys = [open_key(tenant), alerts_key(tenant), told_key(tenant, gateway), users_key(tenant), *records]
    places = _Places(tenant, keys)
    requests = [(*_request(one), places.windows_of(one), one.lease_ms) for one in settled]
    written = [(*places.of(one.limit), *_sum(one)) for one in sums]
    places.keys += [bases_key(tenant), base] if base else []
    number = len(places.keys) if base else 0
    body = (REMEMBER_MS, most_users, gateway, number, requests, places.windows, written)
    return SETTLE, tuple(places.keys), (now_ms, msgspec.msgpack.encode(body), *told)


def read_settled(reply: Sequence[Any]) -> SettledReply:
    """What the reply of `settle_call` says."""
    freed, alerts = reply
    return SettledReply(freed, tuple(_alert(data) for data in alerts), tuple(alerts))


def read_record(data: bytes | None) -> Record | None:
    """A request's record, None when it is not there or closed."""
    if not data:
        return None
    kept = msgspec.msgpack.decode(data)
    return Record(*kept[:7], *kept[8:9])


class _Places:
    """The keys of one call and their numbers, from 1 on; every limit's keys once."""

    def __init__(self, tenant: str, keys: list[str]) -> None:
        self.keys = keys
        self.windows: list[tuple[object, ...]] = []
        self._tenant = tenant
        self._of: dict[str, tuple[int, int]] = {}
        self._numbers: dict[str, int] = {}

    def of(self, limit: Limit) -> tuple[int, int]:
        """A limit's own key, and that of users without a counter of their own, or 0."""
        if limit.key not in self._of:
            first = len(self.keys) + 1
            self.keys += keys_of(self._tenant, limit)
            self._of[limit.key] = (first, first + 1 if limit.user else 0)
        return self._of[limit.key]

    def windows_of(self, one: Settled) -> list[int]:
        """The sliding windows that the request counts in if nothing was reserved, by their numbers in `windows`."""
        found = []
        for limit in one.applying.limits:
            places = self.of(limit)
            if limit.kind.shape == "window" and one.missed:
                if limit.key not in self._numbers:
                    kind = limit.kind
                    self.windows.append((*places, kind.dimension, kind.unit_ms, kind.units, _soft(limit)))
                    self._numbers[limit.key] = len(self.windows)
                found.append(self._numbers[limit.key])
        return found


def _alert(data: bytes) -> Alert:
    key, *rest = msgspec.msgpack.decode(data)
    return Alert(limit_of(key), *rest)


def _request(one: Settled) -> tuple[object, ...]:
    amounts = (one.requests, one.input, one.output, one.usd_nano)
    return (member_of(one.epoch, one.request_id), one.time_ms, one.applying.user, *amounts)


def _sum(one: Sum) -> tuple[object, ...]:
    end_ms = one.limit.window_ms(one.window_ms)[1]
    compares_all = one.limit.kind.dimension == "requests"
    soft, ends = _soft_of_sum(one.limit), ends_of(one.limit)
    return (one.limit.user, one.window_ms, end_ms, one.value, one.sequence, soft, compares_all, ends)


def _soft_of_sum(limit: Limit) -> int | bool:
    """How much may be used before it warns; of an account with less than its `low` from the start that is below 0."""
    if limit.credits is not None and limit.row.low is not None:
        return limit.credits.booked_nano - limit.row.low
    return False if limit.row.soft is None else limit.row.soft


def _soft(limit: Limit) -> int:
    return -1 if limit.row.soft is None else limit.row.soft
