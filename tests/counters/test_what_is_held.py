"""What running requests hold of tokens and money: soft limits and waiting times tell it from what is used."""

import pytest
from redis import Redis

from headgate.counters.reservation import Wish
from headgate.counters.settlement import Alert, Settled, Sum
from headgate.limits import NANO, LimitRow
from tests.counters.tenant import EPOCH, START, Tenant, limits_of

MINUTE = 60_000
DAY_MS = 86_400_000


def ended(tenant: Tenant, name: str, tokens: int, time_ms: int = START) -> Settled:
    return Settled(name, EPOCH, time_ms, tenant.applying(), 1, tokens, 0, tokens * 1000)


def sums(tenant: Tenant, value: int, sequence: int) -> list[Sum]:
    return [Sum(one, one.window_ms(START)[0], value, sequence) for one in tenant.applying().limits if one.is_calendar]


def told(alerts: tuple[Alert, ...]) -> list[tuple[str, int, int]]:
    return [(one.name, one.used, one.soft) for one in alerts]


@pytest.mark.parametrize("kind", ["tpm", "input_tpm", "daily_tokens", "monthly_usd"])
def test_a_soft_limit_compares_what_is_used(raw: Redis, kind: str) -> None:
    """Told at the settlement that passes it, once, and on the answers after that; never for what may be used."""
    each = 1000 if kind == "monthly_usd" else 1
    tenant = Tenant(raw, limits_of(LimitRow(kind, 10**6 * each, soft=1000 * each)))
    for number in range(3):
        verdict = tenant.reserve(Wish(f"a{number}", EPOCH, 5000, 4000, 1, 5_000_000, "1000"))
        assert (verdict.refused, verdict.warned) == (None, ())
    assert told(tenant.settle(ended(tenant, "a0", 17), sums=sums(tenant, 17 * each, 1)).alerts) == []
    assert tenant.reserve("b").warned == ()

    assert told(tenant.settle(ended(tenant, "a1", 1377), sums=sums(tenant, 1394 * each, 2)).alerts) == [
        (kind, 1394 * each, 1000 * each)
    ]
    verdict = tenant.reserve("c")
    assert [limit.name for limit in verdict.warned] == [kind]
    assert verdict.warned_used == (1394 * each,)
    assert told(tenant.settle(ended(tenant, "a2", 2000), sums=sums(tenant, 3394 * each, 3)).alerts) == []


def test_a_soft_limit_of_requests_counts_them_as_they_come(raw: Redis) -> None:
    rows = (LimitRow("rpm", None, soft=1), LimitRow("daily_requests", None, soft=1))
    tenant = Tenant(raw, limits_of(*rows))
    assert [len(tenant.reserve(name).warned) for name in "abc"] == [0, 2, 2]
    assert sorted(told(tenant.settle().alerts)) == [("daily_requests", 2, 1), ("rpm", 2, 1)]


def test_what_was_let_through_unasked_warns_too(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("tpm", None, soft=1000)))
    assert told(tenant.settle(ended(tenant, "a", 999), now=START).alerts) == []
    assert told(tenant.settle(ended(tenant, "b", 2), now=START + 1000).alerts) == [("tpm", 1001, 1000)]


@pytest.mark.parametrize("kind", ["tpm", "output_tpm"])
def test_what_is_only_held_may_come_back_any_moment(raw: Redis, kind: str) -> None:
    tenant = Tenant(raw, limits_of(**{kind: 10_000}))
    assert tenant.reserve(Wish("a", EPOCH, 0, 9_990)).grant == 9_990
    refused = tenant.reserve(Wish("b", EPOCH, 0, 100), START + 1000).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (9_990, 1000)
    standing = tenant.standing(now=START + 1000)[kind]
    assert (standing.used, standing.reserved, standing.left) == (0, 9_990, 10)

    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), output=9_990), now=START + 2000)
    refused = tenant.reserve(Wish("b", EPOCH, 0, 100), START + 2000).refused
    assert refused
    assert refused.wait_ms == 59_000  # now it is used
    standing = tenant.standing(now=START + 2000)[kind]
    assert (standing.used, standing.reserved) == (9_990, 0)


def test_a_long_request_holds_what_has_left_the_window_no_more(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=10_000))
    tenant.reserve(Wish("long", EPOCH, 0, 6_000))
    tenant.reserve(Wish("b", EPOCH, 0, 1_000), START + 61_000)
    now = tenant.standing(now=START + 61_000)["tpm"]
    assert (now.used, now.reserved) == (0, 1_000)
    tenant.settle(Settled("long", EPOCH, START, tenant.applying(), output=10), now=START + 61_000)
    now = tenant.standing(now=START + 61_000)["tpm"]
    assert (now.used, now.reserved) == (0, 1_000)
    tenant.settle(Settled("b", EPOCH, START, tenant.applying(), output=10), now=START + 61_000)
    now = tenant.standing(now=START + 61_000)["tpm"]
    assert (now.used, now.reserved) == (10, 0)


def test_what_is_used_beyond_a_reservation_takes_of_the_burst(raw: Redis) -> None:
    """A provider that reports more than was reserved: what is above the cap is borrowed like any other."""
    row = limits_of(LimitRow("tpm", 1000, burst=500, refill_ms=10 * MINUTE))
    tenant = Tenant(raw, row)
    tenant.reserve(Wish("a", EPOCH, 900))
    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), input=1400), now=START)
    later = START + 61_000  # the bucket has left, the debt has not: 50 of 400 are back
    verdict = tenant.reserve(Wish("b", EPOCH, 1000), later)
    assert verdict.standings[0].left == 500 - (400 - 50)


def test_memory_of_a_window_with_requests_open_in_every_bucket(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 10**12, soft=NANO, burst=100, refill_ms=MINUTE)))
    for second in range(200):
        tenant.reserve(Wish(f"{second}", EPOCH, 100_000, 100_000), START + 1000 * second)
    size: int = raw.memory_usage("hg:{acme}:tpm", samples=0)  # type: ignore[assignment]
    assert size <= 2_000
    for second in range(200):
        tenant.settle(Settled(f"{second}", EPOCH, START, tenant.applying(), input=5), now=START + 200_000)
    assert tenant.standing(now=START + 200_000)["tpm"].reserved == 0
    assert not [name for name in raw.hkeys("hg:{acme}:tpm") if name.startswith(b"r") and name != b"reserved"]  # type: ignore[union-attr]
