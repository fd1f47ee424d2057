"""What a settlement gives back, adds and sets, in whatever order and how often it comes."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis import Redis

from headgate.counters.limits import Applying
from headgate.counters.reservation import Wish
from headgate.counters.scripts import MOST_USERS, limit_key, open_key, record_key, users_key
from headgate.counters.settlement import Record, Settled, SettledReply, Sum, read_record, read_settled, settle_call
from headgate.limits import NANO, LimitRow, user_name
from tests.counters.tenant import EPOCH, LEASE_MS, START, Tenant, limits_of

DAY_MS = 86_400_000
TODAY = START - START % DAY_MS
ROW = limits_of(tpm=10_000, concurrency=2, daily_tokens=10_000, daily_usd=NANO)


def wish(name: str) -> Wish:
    return Wish(name, EPOCH, 100, 1000, 1, 5000, "10")


def ended(name: str, applying: Applying, time_ms: int = START, *, missed: bool = True) -> Settled:
    return Settled(name, EPOCH, time_ms, applying, 1, 100, 50, 5500, missed)


def used(tenant: Tenant, now: int = START) -> dict[str, tuple[int, int]]:
    return {name: (one.used, one.reserved) for name, one in tenant.standing(now=now).items()}


def sums(tenant: Tenant, value: int, sequence: int, window: int = TODAY) -> list[Sum]:
    return [Sum(one, window, value, sequence) for one in tenant.applying().limits if one.is_calendar]


def test_what_was_real_takes_the_place_of_what_was_reserved(raw: Redis) -> None:
    tenant = Tenant(raw, ROW)
    tenant.reserve(wish("a"))
    assert used(tenant) == {
        "tpm": (0, 1100),
        "concurrency": (0, 1),
        "daily_tokens": (0, 1100),
        "daily_usd": (0, 15_000),
    }
    assert tenant.settle(ended("a", tenant.applying()), sums=sums(tenant, 150, 1), now=START + 5000).freed == 1
    after = {"tpm": (150, 0), "concurrency": (0, 0), "daily_tokens": (150, 0), "daily_usd": (150, 0)}
    assert used(tenant) == after
    assert tenant.settle(ended("a", tenant.applying()), sums=sums(tenant, 150, 1), now=START + 5000).freed == 0
    assert used(tenant) == after
    assert used(tenant, START + 61_000)["tpm"] == (0, 0)


def test_a_reservation_that_comes_after_the_end_takes_nothing(raw: Redis) -> None:
    tenant = Tenant(raw, ROW)
    assert tenant.settle(ended("late", tenant.applying(), missed=False)).freed == 0
    assert tenant.reserve(wish("late")).closed
    assert not raw.exists(open_key("acme"))
    assert used(tenant) == dict.fromkeys(("tpm", "concurrency", "daily_tokens", "daily_usd"), (0, 0))


def test_missed_usage_is_added_where_it_began(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=10, output_tpm=1000, rps=5))
    for name, ago in (("a", 50_000), ("b", 0), ("c", 62_000)):
        tenant.settle(ended(name, tenant.applying(), START - ago))
        tenant.settle(ended(name, tenant.applying(), START - ago))
    assert used(tenant) == {"rpm": (2, 0), "output_tpm": (100, 0), "rps": (1, 0)}
    assert used(tenant, START + 11_000) == {"rpm": (1, 0), "output_tpm": (50, 0), "rps": (0, 0)}


def test_a_record_says_what_may_have_been_taken(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_usd", NANO, by=("user",))))
    tenant.reserve(wish("a"), applying=tenant.applying("ci", "chat", "ann"))
    data: Any = raw.get(record_key("acme", "a"))
    assert read_record(data) == Record(1000, 100, 1000, 15_000, "ci", "chat", user_name("ann"), START)
    tenant.settle("a")
    closed: Any = raw.get(record_key("acme", "a"))
    assert read_record(closed) is None
    assert read_record(None) is None


def test_leases_that_are_over_free_slots_and_wait_for_the_ledger(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(concurrency=1, daily_tokens=5000))
    tenant.reserve(wish("a"))
    assert tenant.reserve(wish("b"), START + LEASE_MS - 1).refused
    assert not tenant.reserve(wish("c"), START + LEASE_MS).refused
    assert raw.zrangebyscore(open_key("acme"), "-inf", START + LEASE_MS) == [b"e1/a"]
    assert used(tenant)["daily_tokens"] == (0, 2200)
    tenant.settle(ended("a", tenant.applying()), sums=sums(tenant, 150, 1))
    assert used(tenant)["daily_tokens"] == (150, 1100)


def test_sums_are_absolute_of_each_gateway_and_never_go_back(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(daily_tokens=10_000))
    for gateway, value, sequence in (("g1", 100, 5), ("g1", 100, 5), ("g2", 7, 1), ("g1", 90, 4), ("g1", 120, 6)):
        tenant.settle(sums=sums(tenant, value, sequence), gateway=gateway)
    assert used(tenant)["daily_tokens"] == (127, 0)
    tenant.settle(sums=sums(tenant, 1000, 9, TODAY - DAY_MS))  # yesterday's are too late
    assert used(tenant)["daily_tokens"] == (127, 0)
    raw.flushall()
    tenant.settle(sums=sums(tenant, 120, 6), base=True)
    assert tenant.reserve(wish("a")).standings[0].used == 120 + 1100


def test_a_new_window_begins_with_nothing(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(daily_tokens=2000))
    tenant.reserve(wish("a"))
    tenant.settle(sums=sums(tenant, 800, 1))
    assert tenant.reserve(wish("b"), TODAY + DAY_MS - 1).refused
    assert tenant.reserve(wish("b"), TODAY + DAY_MS).standings[0].used == 1100
    tenant.settle("a", sums=sums(tenant, 950, 2), now=TODAY + DAY_MS)  # its day is over
    assert used(tenant, TODAY + DAY_MS)["daily_tokens"] == (0, 1100)


def test_a_changed_anniversary_is_another_window(raw: Redis) -> None:
    Tenant(raw, limits_of(monthly_requests=2)).reserve("a")
    assert Tenant(raw, limits_of(monthly_requests=2, anniversary=15)).reserve("b").standings[0].used == 1
    assert Tenant(raw, limits_of(monthly_requests=2)).reserve("c").standings[0].used == 2


def test_a_settlement_that_passes_a_soft_limit_says_so_once(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_usd", None, soft=1000)))
    told = [tenant.settle(sums=sums(tenant, value, value)).alerts for value in (1000, 1001, 2000)]
    assert [[(one.name, one.used, one.window_ms) for one in some] for some in told] == [
        [],
        [("daily_usd", 1001, TODAY)],
        [],
    ]


def test_limits_that_are_no_more_are_given_back_all_the_same(raw: Redis) -> None:
    before, after = Tenant(raw, ROW), Tenant(raw, limits_of(rpm=5))
    before.reserve(wish("a"))
    after.settle("a")
    assert used(before) == {"tpm": (0, 0), "concurrency": (0, 0), "daily_tokens": (0, 0), "daily_usd": (0, 0)}


def test_money_is_exact_up_to_the_largest_limit(raw: Redis) -> None:
    most = 2**53 - 1
    tenant = Tenant(raw, limits_of(daily_usd=most))
    tenant.settle(sums=sums(tenant, most - 2, 1))
    assert tenant.reserve(Wish("a", EPOCH, fixed_nano=1)).standings[0].left == 1
    assert tenant.reserve(Wish("b", EPOCH, fixed_nano=2)).refused
    assert tenant.reserve(Wish("c", EPOCH, fixed_nano=1)).standings[0].used == most


def test_users_without_a_counter_of_their_own_are_counted_together(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_tokens", 5000, by=("user",))))
    raw.zadd(users_key("acme"), {f"u{number}": START + DAY_MS for number in range(MOST_USERS)})
    ann = tenant.applying("", "", "ann")
    tenant.reserve(wish("a"), applying=ann)
    tenant.settle(ended("a", ann), sums=[Sum(ann.limits[0], TODAY, 150, 1)])
    assert tenant.reserve(wish("b"), applying=tenant.applying("", "", "bob")).standings[0].used == 150 + 1100
    assert not raw.exists(ann.limits[0].key)
    assert raw.exists(limit_key("acme", "daily_tokens:user=*"))


@pytest.mark.parametrize("count", [1, 500])
def test_many_at_once(raw: Redis, count: int) -> None:
    tenant = Tenant(raw, limits_of(rpm=10_000, concurrency=10_000, daily_requests=10_000))
    names = [f"r{number}" for number in range(count)]
    for name in names:
        tenant.reserve(name)
    assert tenant.settle(*names).freed == count
    assert used(tenant) == {"rpm": (count, 0), "concurrency": (0, 0), "daily_requests": (0, 0)}


def test_a_clock_that_goes_back_over_midnight_opens_no_second_window(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(daily_requests=2))
    tenant.reserve("a", TODAY)
    standing = tenant.reserve("b", TODAY - 1).standings[0]
    assert (standing.left, standing.reset_ms) == (0, DAY_MS + 1)
    assert tenant.reserve("c", TODAY).refused


def test_credits_that_have_refilled_are_not_given_back(raw: Redis) -> None:
    """Of twenty one comes back in 5 s: when the request ends its ten are back, and what is owed is another's."""
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 100, burst=20, refill_ms=100_000)))
    tenant.reserve(Wish("a", EPOCH, 110))
    later = START + 50_000
    assert tenant.standing(now=later)["tpm"].left == 10
    assert not tenant.reserve(Wish("b", EPOCH, 10), later).refused
    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), 1, 0), now=later)
    assert tenant.standing(now=later)["tpm"].left == 90 + 10
    tenant.settle(Settled("b", EPOCH, later, tenant.applying(), 1, 4), now=later + 5_000)
    assert tenant.standing(now=later + 5_000)["tpm"].left == 96 + 10 + 1 + 6


def test_credits_that_were_not_needed_are_given_back(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 100, burst=20, refill_ms=100_000)))
    tenant.reserve(Wish("a", EPOCH, 110))
    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), 1, 0), now=START + 10_000)
    assert tenant.standing(now=START + 10_000)["tpm"].left == 120


def test_an_alert_is_told_to_one_gateway_until_it_confirms(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_usd", None, soft=1000), LimitRow("daily_tokens", None, soft=5)))

    def told(gateway: str, *had: bytes, sums: Sequence[Sum] = ()) -> SettledReply:
        return read_settled(tenant.run(settle_call("acme", (), sums, gateway, told=had, now_ms=START)))

    money, tokens = sums(tenant, 2000, 1)
    first = told("g1", sums=[money])
    assert [one.name for one in first.alerts] == ["daily_usd"]
    assert told("g1") == first  # its reply was lost, or who had it died
    assert told("g2").alerts == ()
    assert [one.name for one in told("g2", sums=[tokens]).alerts] == ["daily_tokens"]
    assert told("g1", *first.packed).alerts == ()
    assert told("g1", *first.packed).alerts == ()  # a call that is repeated
    assert [one.name for one in told("g2").alerts] == ["daily_tokens"]


def test_sums_of_other_limits_are_known_no_longer(raw: Redis) -> None:
    one, other = limits_of(daily_tokens=5000), limits_of(daily_tokens=5000, daily_requests=9)
    Tenant(raw, one)
    assert not Tenant(raw, limits_of(daily_tokens=7), base=False).reserve("a").unknown
    assert Tenant(raw, other, base=False).reserve("b").unknown
    Tenant(raw, other)
    assert not Tenant(raw, other, base=False).reserve("b").unknown
    assert Tenant(raw, one, base=False).reserve("c").unknown
