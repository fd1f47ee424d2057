"""The limits of one process alone: sliding windows per tenant, on any clock."""

import itertools
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.counters.emergency import USERS_PER_TENANT, Emergency, Taken
from headgate.counters.limits import Limit, TenantLimits
from headgate.counters.reservation import Refused, Wish, estimate_nano
from headgate.limits import NANO, LimitRow, LimitsRow

STEPS = st.lists(st.floats(0, 5) | st.floats(0, 90) | st.sampled_from([0.99, 1.0, 59.99, 60.0, 61.0]), max_size=60)
ONE = Wish("a", "e")


def limits(*rows: LimitRow, tenant: str = "acme", user: str = "") -> Sequence[Limit]:
    return TenantLimits(tenant, LimitsRow(rows)).applying("ci", "chat", user).limits


def wish(input_tokens: int, output: int = 0, times: int = 1) -> Wish:
    return Wish("a", "e", input_tokens, output, times, fixed_nano=2500 * input_tokens, rate_nano="10000")


def refused(decided: Taken | Refused) -> Refused:
    assert isinstance(decided, Refused)
    return decided


@given(steps=STEPS, rpm=st.integers(1, 12), workers=st.integers(1, 4))
def test_no_minute_sees_more_than_the_share(steps: list[float], rpm: int, workers: int) -> None:
    emergency, some = Emergency(workers), limits(LimitRow("rpm", rpm))
    share, now, let_in = max(1, rpm // workers), 1000.0, list[float]()
    for step in steps:
        now += step
        decided = emergency.take("acme", some, ONE, now)
        recent = [at for at in let_in if now - at < 60]
        if isinstance(decided, Refused):
            assert decided.used == share
            assert len([at for at in let_in if now - at <= 61]) >= share
            assert 0 < decided.wait_ms <= 61_001
            later = Emergency(workers)
            for at in let_in:
                later.take("acme", some, ONE, at)
            assert later.take("acme", some, ONE, now + decided.wait_ms / 1000 + 0.001) == Taken(0)
        else:
            assert len(recent) < share
            let_in.append(now)


SIZES = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 130), st.integers(0, 60)), max_size=40)


@given(asks=SIZES, workers=st.integers(1, 4))
def test_tokens_count_as_they_are_and_none_is_above_the_limit(
    asks: list[tuple[float, int, int]], workers: int
) -> None:
    """A minute sees the share, or one request that is larger; never one above the limit itself."""
    emergency, some, now = Emergency(workers), limits(LimitRow("tpm", 100)), 1000.0
    let_in: list[tuple[float, int]] = []
    for step, asked, output in asks:
        now += step
        decided = emergency.take("acme", some, wish(asked, output), now)
        recent = [amount for at, amount in let_in if now - at < 60]
        if isinstance(decided, Taken):
            amount = asked + decided.grant
            assert min(16, output) <= decided.grant <= output
            assert amount <= (100 // workers - sum(recent) if recent else 100)
            let_in.append((now, amount))
        elif decided.wait_ms < 0:
            assert asked + min(16, output) > 100
        else:
            assert let_in
            assert asked + min(16, output) > 100 // workers - sum(recent)
            later = now + decided.wait_ms / 1000 + 0.001
            assert isinstance(emergency.take("acme", some, wish(asked, output), later), Taken)
            let_in.append((later, asked + output))
            return


def test_answers_are_lowered_to_the_share_that_is_left() -> None:
    emergency, some = Emergency(2), limits(LimitRow("tpm", 1000))
    assert emergency.take("acme", some, wish(100, 300), 1.0) == Taken(300)
    assert emergency.take("acme", some, wish(20, 300, times=2), 1.0) == Taken(40)
    assert refused(emergency.take("acme", some, wish(1, 300), 1.0)).used == 500


@pytest.mark.parametrize(
    ("kind", "cap", "an_hour"),
    [
        ("daily_requests", 480, 10),
        ("daily_tokens", 48_000, 1000),
        ("monthly_tokens", 1_440_000, 1000),
        ("monthly_usd", 14 * NANO, NANO * 14 // 1440),
    ],
)
def test_calendar_limits_give_a_worker_its_part_of_an_hour(kind: str, cap: int, an_hour: int) -> None:
    emergency, (limit,) = Emergency(2), limits(LimitRow(kind, cap))
    assert emergency.share(limit) == an_hour
    asked = wish(100, 300)
    let_in = [emergency.take("acme", (limit,), asked, 1.0 + at) for at in range(200)]
    assert 2 <= let_in.count(Taken(300)) <= 10
    over = refused(let_in[-1])
    assert 3_000_000 < over.wait_ms < 3_660_000
    assert emergency.take("acme", (limit,), asked, 201.0 + over.wait_ms / 1000) == Taken(300)


def test_what_is_shown_is_the_share() -> None:
    """What is left of it, never below nothing, and when all of it has left; of slots and warnings there is none."""
    rows = (
        LimitRow("tpm", 1000),
        LimitRow("rpm", 10),
        LimitRow("concurrency", 1),
        LimitRow("daily_tokens", None, soft=1),
    )
    emergency, some = Emergency(2), limits(*rows)
    assert [(one.used, one.left, one.reset_ms) for one in emergency.standings("acme", some, 6.0)] == [
        (0, 500, 0),
        (0, 5, 0),
    ]
    emergency.take("acme", some, wish(600), 6.0)
    assert [(one.used, one.left) for one in emergency.standings("acme", some, 7.5)] == [(600, 0), (1, 4)]
    (tokens, requests) = emergency.standings("acme", some, 7.5)
    assert tokens.reset_ms == requests.reset_ms == 59_500
    assert emergency.standings("acme", some, 67.5)[0].left == 500


@given(
    asked=st.integers(0, 10**6),
    rate=st.decimals("0.001", 10**6, places=3),
    times=st.integers(1, 20),
    cap=st.integers(1, 10**10),
)
def test_a_grant_never_costs_more_than_there_is(asked: int, rate: Decimal, times: int, cap: int) -> None:
    emergency, some = Emergency(1), limits(LimitRow("daily_usd", cap))
    expensive = Wish("a", "e", 0, asked, times, rate_nano=str(rate))
    decided = emergency.take("acme", some, expensive, 1.0)
    if isinstance(decided, Taken):
        assert estimate_nano(expensive, decided.grant) <= cap


def test_what_is_larger_than_the_share_passes_alone() -> None:
    emergency, some = Emergency(4), limits(LimitRow("tpm", 1000, burst=500))
    assert emergency.take("acme", some, wish(1400), 1.0) == Taken(0)
    assert refused(emergency.take("acme", some, wish(1), 30.0)).wait_ms > 30_000
    assert emergency.take("acme", some, wish(1400), 63.0) == Taken(0)
    assert refused(emergency.take("acme", some, wish(1501), 130.0)).wait_ms == -1


def test_all_limits_or_none() -> None:
    emergency, some = Emergency(1), limits(LimitRow("rpm", 3), LimitRow("rps", 1), LimitRow("concurrency", 1))
    assert emergency.take("acme", some, ONE, 10.0) == Taken(0)
    for _ in range(5):
        assert refused(emergency.take("acme", some, ONE, 10.1)).limit.name == "rps"
    assert emergency.take("acme", some, ONE, 12.0) == Taken(0)
    assert emergency.take("acme", some, ONE, 14.0) == Taken(0)
    assert refused(emergency.take("acme", some, ONE, 14.1)).limit.name == "rpm"  # the one that has room last


def test_tenants_share_nothing() -> None:
    emergency, row = Emergency(2), LimitRow("rpm", 1)
    acme, globex = limits(row), limits(row, tenant="globex")
    decided = [
        emergency.take(name, some, ONE, 1.0) for name, some in (("acme", acme), ("acme", acme), ("globex", globex))
    ]
    assert [isinstance(one, Taken) for one in decided] == [True, False, True]


def test_what_nothing_refuses_is_not_counted() -> None:
    emergency, some = Emergency(2), limits(LimitRow("concurrency", 1), LimitRow("daily_tokens", None, soft=1))
    assert all(emergency.take("acme", some, wish(10), 1.0) == Taken(0) for _ in range(9))
    assert len(emergency) == 0


def test_many_users_and_tenants_that_come_and_go_are_forgotten() -> None:
    emergency, row = Emergency(1), LimitRow("rpm", 2, by=("user",))
    clock = itertools.count(0)
    for at in clock:
        user, tenant = f"u{at}", f"t{at % 50}"
        emergency.take(tenant, limits(row, tenant=tenant, user=user), ONE, at / 10)
        if at == 5000:
            break
    assert len(emergency) < 700  # 61 s of them
    for at in range(70):
        emergency.take("t", limits(LimitRow("rpm", 1000), tenant="t"), ONE, 600.0 + at * 10)
        emergency.take("t", limits(LimitRow("rpm", 1000), tenant=f"t{at}"), ONE, 600.0 + at * 10)
    assert len(emergency) < 500


def test_users_beyond_the_most_share_one_window() -> None:
    emergency, row = Emergency(1), LimitRow("rpm", 2, by=("user",))
    users = [limits(row, user=f"u{at}") for at in range(USERS_PER_TENANT + 5)]
    decided = [emergency.take("acme", some, ONE, 1.0) for some in users]
    assert [isinstance(one, Taken) for one in decided] == [True] * (USERS_PER_TENANT + 2) + [False] * 3
    assert isinstance(emergency.take("acme", users[0], ONE, 1.0), Taken)
    assert len(emergency) == USERS_PER_TENANT + 1
    assert isinstance(emergency.take("globex", limits(row, tenant="globex", user="x"), ONE, 1.0), Taken)
