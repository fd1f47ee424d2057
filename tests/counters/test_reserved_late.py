"""What was let through without the counters and is reserved when they are back counts when it passed, not then."""

from typing import Any

import pytest
from redis import Redis

from headgate.counters.reservation import Wish
from headgate.counters.scripts import REMEMBER_MS, open_key, record_key
from headgate.counters.settlement import Settled, read_record
from headgate.limits import NANO, LimitRow
from tests.counters.tenant import EPOCH, LEASE_MS, START, Tenant, limits_of

MINUTE = 60_000
DAY_MS = 86_400_000
MIDNIGHT = START - START % DAY_MS + DAY_MS


def wish(name: str) -> Wish:
    return Wish(name, EPOCH, input=100, output=200, fixed_nano=1000)


def held(tenant: Tenant, now: int) -> dict[str, tuple[int, int]]:
    return {name: (one.used, one.reserved) for name, one in tenant.standing(now=now).items()}


def ended(tenant: Tenant, name: str, began: int) -> Settled:
    return Settled(name, EPOCH, began, tenant.applying(), 1, 100, 20, 1000)


def test_an_outage_fills_no_window_that_came_after_it(raw: Redis) -> None:
    """Five minutes of a request every five seconds: one minute of them counts."""
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 10**6, soft=1000), rpm=600))
    for number in range(0, 300, 5):
        tenant.reserve(wish(f"{number}"), START + 300_000, passed_ms=START + 1000 * number)
    assert held(tenant, START + 300_000) == {"rpm": (12, 0), "tpm": (0, 3600)}  # its last minute's
    left = {one.limit.name: one.left for one in tenant.reserve(wish("live"), START + 300_000).standings}
    assert left["rpm"] == 600 - 13
    assert held(tenant, START + 330_000) == {"rpm": (7, 0), "tpm": (0, 2100)}  # they leave when they would have
    for number in range(0, 300, 5):
        tenant.settle(ended(tenant, f"{number}", START + 1000 * number), now=START + 330_000)
    assert held(tenant, START + 330_000) == {"rpm": (7, 0), "tpm": (720, 300)}


def test_a_day_that_is_over_is_not_charged_to_the_next(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(daily_tokens=1000, daily_usd=NANO))
    tenant.reserve(wish("yesterday"), MIDNIGHT + 1000, passed_ms=MIDNIGHT - 1000)
    tenant.reserve(wish("today"), MIDNIGHT + 2000, passed_ms=MIDNIGHT)
    assert held(tenant, MIDNIGHT + 2000) == {"daily_tokens": (0, 300), "daily_usd": (0, 1000)}
    tenant.settle(ended(tenant, "yesterday", MIDNIGHT - 1000), now=MIDNIGHT + 3000)
    assert held(tenant, MIDNIGHT + 3000) == {"daily_tokens": (0, 300), "daily_usd": (0, 1000)}


def test_its_record_says_when_it_passed(raw: Redis) -> None:
    """By which the ledger finds its day, where Envoy was killed before its end."""
    tenant = Tenant(raw, limits_of(daily_tokens=1000))
    tenant.reserve(wish("a"), MIDNIGHT + 1000, passed_ms=MIDNIGHT - 1000)
    data: Any = raw.get(record_key("acme", "a"))
    record = read_record(data)
    assert record
    assert (record.time_ms, record.input, record.output) == (MIDNIGHT - 1000, 100, 200)
    assert raw.zscore(open_key("acme"), f"{EPOCH}/a") == MIDNIGHT + 1000 + LEASE_MS


def test_a_gateways_clock_that_is_ahead_counts_as_now(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=10_000, daily_tokens=10_000))
    tenant.reserve(wish("a"), MIDNIGHT - 1000, passed_ms=MIDNIGHT + 1000)
    assert held(tenant, MIDNIGHT - 1000) == {"tpm": (0, 300), "daily_tokens": (0, 300)}


@pytest.mark.parametrize("again", [False, True])
def test_who_has_ended_without_a_record_is_known_for_as_long_as_it_may_come(raw: Redis, again: bool) -> None:
    tenant = Tenant(raw, limits_of(tpm=10_000))
    end = Settled("a", EPOCH, START, tenant.applying(), lease_ms=LEASE_MS)
    tenant.settle(end, now=START + MINUTE)
    if again:  # as the ledger does with its last words when the counters are back
        tenant.settle(end, now=START + MINUTE)
    left: Any = raw.pttl(record_key("acme", "a"))
    may_come = LEASE_MS - MINUTE
    assert may_come < left <= may_come + REMEMBER_MS
    assert tenant.reserve(wish("a"), START + 5 * MINUTE, passed_ms=START).closed


def test_others_are_remembered_no_longer_than_before(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=10_000))
    tenant.reserve("a")
    old = START - 2 * LEASE_MS
    tenant.settle(
        Settled("a", EPOCH, START, tenant.applying(), lease_ms=LEASE_MS),
        Settled("long ago", EPOCH, old, tenant.applying(), lease_ms=LEASE_MS),
    )
    left: list[Any] = [raw.pttl(record_key("acme", name)) for name in ("a", "long ago")]
    assert max(left) <= REMEMBER_MS
