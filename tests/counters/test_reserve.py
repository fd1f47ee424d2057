"""What a reservation takes, grants and refuses, and what it leaves in Valkey."""

from typing import Any

import pytest
from redis import Redis

from headgate.counters.reservation import Wish
from headgate.counters.scripts import bases_key, open_key, record_key, tenant_of, told_key, users_key
from headgate.counters.settlement import Settled, Sum, settle_call
from headgate.limits import NANO, LimitRow
from tests.counters.tenant import EPOCH, LEASE_MS, START, Tenant, limits_of

DAY_MS = 86_400_000
MINUTE = 60_000


def wish(name: str, prompt: int = 0, output: int = 0, times: int = 1, fixed: int = 0, rate: str = "0") -> Wish:
    return Wish(name, EPOCH, prompt, output, times, fixed, rate)


def test_the_servers_clock_counts_when_none_is_given(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=2, daily_requests=2))
    assert [bool(tenant.reserve(name, "").refused) for name in "abc"] == [False, False, True]


def test_all_limits_or_none(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=100, concurrency=1))
    assert tenant.reserve("a").standings[0].left == 99
    refused = tenant.reserve("b")
    assert refused.refused
    assert refused.refused.limit.name == "concurrency"
    assert refused.standings[0].left == 99  # the one that was refused is not counted
    assert not raw.exists(record_key("acme", "b"))


def test_a_lowered_limit_leaves_nothing_and_never_less(raw: Redis) -> None:
    for name in "abcd":
        Tenant(raw, limits_of(rpm=10, concurrency=10)).reserve(name)
    verdict = Tenant(raw, limits_of(rpm=2, concurrency=3)).reserve("e")
    assert [standing.left for standing in verdict.standings] == [0, 0]
    assert verdict.refused


def test_a_raised_limit_counts_at_once_and_forgets_nothing(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=1, monthly_requests=1))
    tenant.reserve("a")
    assert tenant.reserve("b").refused
    standings = Tenant(raw, limits_of(rpm=3, monthly_requests=4)).reserve("b").standings
    assert [standing.left for standing in standings] == [1, 2]


def test_the_grant_is_what_the_tightest_limit_has_left(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=1000, output_tpm=5000, monthly_usd=NANO))
    verdict = tenant.reserve(wish("a", 100, 4096, fixed=15_000, rate="600"))
    assert (verdict.grant, verdict.standings[0].left) == (900, 0)
    assert verdict.standings[2].used == 15_000 + 600 * 900
    again = tenant.reserve(wish("a", 100, 4096, fixed=15_000, rate="600"))
    assert (again.grant, again.refused) == (900, None)


@pytest.mark.parametrize(("times", "grant"), [(1, 100), (2, 50), (3, 33), (6, 16)])
def test_every_answer_takes_the_grant(raw: Redis, times: int, grant: int) -> None:
    verdict = Tenant(raw, limits_of(output_tpm=100)).reserve(wish("a", 7, 4096, times))
    assert (verdict.grant, verdict.standings[0].used) == (grant, grant * times)


def test_a_price_with_a_fraction_is_rounded_up_once(raw: Redis) -> None:
    verdict = Tenant(raw, limits_of(daily_usd=1000)).reserve(wish("a", 0, 4096, 3, 10, "0.7"))
    assert verdict.grant == 471  # 10 + ceil(0.7 * 3 * 471) = 1000
    assert verdict.standings[0].left == 0


def test_a_grant_of_no_use_is_a_refusal(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=100))
    assert tenant.reserve(wish("a", 85, 4096)).refused
    assert tenant.reserve(wish("b", 84, 4096)).grant == 16
    other = Tenant(raw, limits_of(tpm=100), "globex")
    assert other.reserve(wish("a", 85, 15)).grant == 15
    assert other.reserve(wish("b", 0, 0)).refused is None


def test_embeddings_reserve_their_input_alone(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(input_tpm=50, output_tpm=0, tpm=50))
    assert [bool(tenant.reserve(wish(name, 25)).refused) for name in "abc"] == [False, False, True]


def test_what_can_never_fit_is_said(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 100, burst=20, refill_ms=MINUTE), daily_tokens=1000))
    verdict = tenant.reserve(wish("a", 105, 4096))
    assert verdict.refused
    assert (verdict.refused.limit.name, verdict.refused.wait_ms) == ("tpm", -1)
    assert tenant.reserve(wish("b", 104, 4096)).grant == 16


def test_what_is_only_reserved_may_come_back_soon(raw: Redis) -> None:
    """A month that running requests hold is not used up; one that is charged for is."""
    tenant = Tenant(raw, limits_of(monthly_tokens=1000))
    tenant.reserve(Wish("a", EPOCH, input=100, output=900))
    refused = tenant.reserve(Wish("b", EPOCH, input=10, output=50)).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (1000, 1000)
    limit = tenant.applying().limits[0]
    start, end = limit.window_ms(START)
    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), output=990), sums=[Sum(limit, start, 990, 1)])
    refused = tenant.reserve(Wish("c", EPOCH, input=10, output=50)).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (990, end - START)


def test_no_number_of_a_client_is_too_large_for_the_counters(raw: Redis) -> None:
    """Where nothing but a warning bounds it: what is reserved stays a whole number that can be added to."""
    tenant = Tenant(raw, limits_of(LimitRow("monthly_usd", None, soft=NANO), LimitRow("tpm", None, soft=1000)))
    for name in ("a", "b", "c"):
        wish = Wish(name, EPOCH, input=1, output=9_999_999_999, times=2**18, rate_nano="15000")
        verdict = tenant.reserve(wish)
        assert not verdict.refused
        assert 0 < verdict.grant * 2**18 <= 2**40
    for name in ("a", "b", "c"):
        assert tenant.settle(Settled(name, EPOCH, START, tenant.applying(), input=1, output=1)).freed == 1
    assert tenant.reserve(Wish("d", EPOCH, input=1, output=16)).grant == 16


def test_the_limit_that_has_room_last_is_named(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=1, daily_requests=1, concurrency=1))
    tenant.reserve("a")
    verdict = tenant.reserve("b")
    assert verdict.refused
    assert (verdict.refused.limit.name, verdict.refused.wait_ms) == ("daily_requests", DAY_MS - START % DAY_MS)


def test_overage_goes_on_to_its_ceiling(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("monthly_requests", 1, ceiling=3)))
    assert [tenant.reserve(name).standings[0].left for name in "abc"] == [2, 1, 0]
    assert tenant.reserve("d").refused


def test_burst_credits_refill_evenly(raw: Redis) -> None:
    """Ten a minute and five on top, which are back after 20 minutes, one every four."""
    tenant = Tenant(raw, limits_of(LimitRow("rpm", 10, burst=5, refill_ms=20 * MINUTE)))
    taken = 0
    while not tenant.reserve(f"a{taken}").refused:
        taken += 1
    assert taken == 15
    for later, back in ((2, 0), (4, 1), (8, 1), (16, 2), (60, 5)):
        let_in = 0
        while not tenant.reserve(f"{later}-{let_in}", START + later * MINUTE).refused:
            let_in += 1
        assert let_in == 10 + back


def test_credits_that_were_not_needed_are_given_back(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("tpm", 100, burst=50, refill_ms=60 * MINUTE)))
    assert tenant.reserve(wish("a", 0, 140)).standings[0].left == 10
    tenant.settle("a")
    assert tenant.reserve(wish("b", 0, 4096)).grant == 150


def test_a_soft_limit_warns_and_lets_pass(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_requests", None, soft=2), LimitRow("rpm", 9, soft=1)))
    assert [[limit.name for limit in tenant.reserve(name).warned] for name in "abc"] == [
        [],
        ["rpm"],
        ["daily_requests", "rpm"],
    ]
    tenant.reserve("d", START + 30_000)
    alerts = tenant.settle().alerts
    assert [(alert.name, alert.used, alert.soft) for alert in alerts] == [("rpm", 2, 1), ("daily_requests", 3, 2)]
    assert [alert.window_ms for alert in alerts] == [START - MINUTE, START - START % DAY_MS]
    assert tenant.settle().alerts == ()
    for name in "ef":
        tenant.reserve(name, START + 61_000)
    assert [alert.name for alert in tenant.settle().alerts] == ["rpm"]


def test_without_the_ledgers_sums_nobody_knows(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(rpm=5, monthly_usd=NANO), base=False)
    verdict = tenant.reserve("a")
    assert verdict.unknown
    assert verdict.refused is None
    assert not raw.keys("*")
    assert not Tenant(raw, limits_of(rpm=5), base=False).reserve("b").unknown


def test_each_key_model_and_user_has_a_counter_of_its_own(raw: Redis) -> None:
    rows = LimitRow("rpm", 1, by=("key",)), LimitRow("daily_requests", 2, by=("model", "user"))
    tenant = Tenant(raw, limits_of(*rows))
    calls = [("ci", "chat", "ann"), ("ci", "chat", "bob"), ("web", "chat", "ann"), ("dev", "chat", "ann")]
    refused = []
    for at, caller in enumerate(calls):
        verdict = tenant.reserve(f"r{at}", applying=tenant.applying(*caller))
        refused.append(verdict.refused and verdict.refused.limit.kind.name)
    assert refused == [None, "rpm", None, "daily_requests"]


def test_users_beyond_the_live_ones_share_one_counter(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("rpm", 1, by=("user",))), most_users=2)

    def refused(user: str, request: str, now: int = START) -> bool:
        return bool(tenant.reserve(request, now, applying=tenant.applying("", "", user)).refused)

    assert [user for user in ("ann", "bob", "cyd", "dan", "") if refused(user, f"{user}1")] == ["dan"]
    assert [refused(user, f"{user}2") for user in ("ann", "bob", "cyd")] == [True, True, True]
    assert [refused(user, f"{user}3", START + 70_000) for user in ("dan", "cyd", "eve")] == [False, False, False]
    assert raw.zcard(users_key("acme")) == 2


def test_a_refusal_says_whose_counter_it_was(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(LimitRow("daily_requests", 1, by=("user",))), most_users=1)
    shared = []
    for name, user in (("a", "ann"), ("b", "ann"), ("c", "bob"), ("d", "cyd")):
        verdict = tenant.reserve(name, applying=tenant.applying("ci", "chat", user))
        shared.append(verdict.refused and verdict.refused.shared)
        assert verdict.grant == 0
    assert shared == [None, False, None, True]  # cyd is refused for what bob did


def test_tenants_share_nothing(raw: Redis) -> None:
    row = limits_of(rpm=1, concurrency=1)
    assert not Tenant(raw, row, "acme").reserve("a").refused
    assert not Tenant(raw, row, "globex").reserve("a").refused
    assert Tenant(raw, row, "acme").reserve("b").refused


EVERYTHING = limits_of(
    *(LimitRow(kind, 5000, soft=1, by=("user",)) for kind in ("tpm", "daily_tokens", "concurrency")),
    LimitRow("rpm", 5, soft=0, burst=5, refill_ms=600_000),
    LimitRow("monthly_usd", NANO, models=("chat",)),
    rps=5,
    concurrency=5,
    anniversary=31,
)


def test_every_key_is_declared_and_goes_away_by_itself(raw: Redis) -> None:
    tenant = Tenant(raw, EVERYTHING)
    applying = tenant.applying("ci", "chat", "ann")
    tenant.reserve(wish("a", 10, 100, 1, 10, "3"), applying=applying)
    tenant.run(settle_call("acme", [Settled("b", EPOCH, START, applying)], now_ms=START))
    tenant.reserve(wish("c", 10, 100), START + 61_000, applying=applying)  # soft limits are passed again
    found: Any = raw.keys("*")
    keys = [key.decode() for key in found]
    assert len(keys) == 7 + 9  # of each limit one; three records, open, alerts of two sorts, bases, base, users
    declared = {
        *(record_key("acme", name) for name in "abc"),
        told_key("acme", ""),
        bases_key("acme"),
        *applying.keys,
    }
    assert set(keys) <= declared
    assert all(tenant_of(key) == "acme" for key in keys)
    assert all(0 < raw.pttl(key) <= 45 * DAY_MS for key in keys)
    assert raw.pttl(record_key("acme", "a")) > LEASE_MS


@pytest.mark.parametrize("hold", [True, False])
def test_a_full_server_takes_nothing_by_halves(raw: Redis, hold: bool) -> None:
    """OOM is an answer before anything has changed, and what is held can be given back all the same."""
    tenant = Tenant(raw, EVERYTHING if hold else limits_of(rpm=5))
    applying = tenant.applying("ci", "chat", "ann")
    tenant.reserve("a", applying=applying)
    before = {key: raw.dump(key) for key in raw.keys("*")}
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(Exception, match="maxmemory"):
            tenant.reserve("b", applying=applying)
        assert {key: raw.dump(key) for key in raw.keys("*")} == before
        assert tenant.settle("a").freed == int(hold)
    finally:
        raw.config_set("maxmemory", 0)
    assert raw.zcard(open_key("acme")) == 0
    assert not tenant.reserve("b", applying=applying).refused


def test_what_cannot_be_lowered_is_granted_whole_or_not(raw: Redis) -> None:
    tenant = Tenant(raw, limits_of(tpm=100))
    assert tenant.reserve(Wish("a", EPOCH, input=1, output=100, least=100)).refused
    assert tenant.reserve(Wish("b", EPOCH, input=1, output=99, least=99)).grant == 99
