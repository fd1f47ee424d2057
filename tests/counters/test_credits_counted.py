"""An account of credits in the counters: what is refused, warned of and given back, and what ends."""

import threading
from typing import Any

import pytest
from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Verdict, Wish
from headgate.counters.scripts import MOST_USERS, record_key
from headgate.counters.settlement import Settled, Sum
from headgate.credits import CreditsRow, Ending
from headgate.limits import LimitRow, LimitsRow
from tests.counters.tenant import EPOCH, START, Tenant
from tests.counters.valkey_server import ValkeyServer

DAY_MS = 86_400_000
TODAY = START // DAY_MS
ROW = LimitsRow((LimitRow("credits", None, floor=0, low=30),))


def account(booked: int = 100, since: int = TODAY, *ending: tuple[int, int]) -> CreditsRow:
    return CreditsRow(since, booked, tuple(Ending(*one) for one in ending))


def spends(name: str, nano: int) -> Wish:
    return Wish(name, EPOCH, fixed_nano=nano)


def booked(tenant: Tenant, now: CreditsRow) -> None:
    tenant.limits = TenantLimits(tenant.name, tenant.limits.row, now)


def charged(tenant: Tenant, nano: int, sequence: int = 1, now: int = START) -> list[Any]:
    """The ledger's sum; the alerts that come with it."""
    (limit,) = tenant.applying().limits
    return list(tenant.settle(sums=[Sum(limit, limit.window_ms(now)[0], nano, sequence)], now=now).alerts)


def left(tenant: Tenant, now: int = START) -> int | None:
    return tenant.standing(now=now)["credits"].left


def test_nothing_is_let_through_below_the_floor_and_free_requests_always(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    assert not tenant.reserve(spends("a", 70)).refused
    refused = tenant.reserve(spends("b", 31)).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (70, 1000)  # what "a" holds may come back
    assert not tenant.reserve(spends("c", 30)).refused
    charged(tenant, 140)  # more than there was: a provider that counts in its own way
    tenant.settle("a", "c")
    refused = tenant.reserve(spends("d", 1)).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (140, -1)
    assert not tenant.reserve(spends("free", 0)).refused
    assert left(tenant) == 0


def test_an_answer_is_cut_down_to_what_is_left(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    assert tenant.reserve(Wish("a", EPOCH, 5, 4096, fixed_nano=20, rate_nano="2")).grant == 40
    assert left(tenant) == 0


def test_an_overdraft_goes_down_to_its_floor(raw: Redis) -> None:
    tenant = Tenant(raw, LimitsRow((LimitRow("credits", None, floor=-50),)), account=account(10))
    assert tenant.reserve(spends("a", 61)).refused
    assert not tenant.reserve(spends("b", 60)).refused
    kept = Tenant(raw, LimitsRow((LimitRow("credits", None, floor=40),)), name="kept", account=account(100))
    assert kept.reserve(spends("a", 61)).refused
    assert not kept.reserve(spends("b", 60)).refused


def test_without_an_account_only_what_is_free_passes(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, base=False)
    refused = tenant.reserve(spends("a", 1)).refused
    assert refused
    assert (refused.used, refused.wait_ms) == (0, -1)
    assert not tenant.reserve(spends("free", 0)).refused
    tenant.settle("free")
    assert left(tenant) == 0
    assert not raw.keys("hg:{acme}:*credits*")


def test_what_ends_counts_no_more_from_its_millisecond_on(raw: Redis) -> None:
    """By one process that was told of it long before, and of nothing since."""
    ends = (TODAY + 1) * DAY_MS
    tenant = Tenant(raw, ROW, account=account(100, TODAY, (ends, 60)))
    charged(tenant, 30)
    assert not tenant.reserve(spends("a", 70), now=ends - 1).refused
    tenant.settle("a", now=ends - 1)
    assert left(tenant, ends - 1) == 70
    assert left(tenant, ends) == 10
    assert tenant.reserve(spends("b", 11), now=ends).refused
    assert not tenant.reserve(spends("c", 10), now=ends).refused


def test_credits_that_come_while_requests_run_are_there_at_once(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    tenant.reserve(spends("a", 100))
    assert tenant.reserve(spends("b", 50)).refused
    booked(tenant, account(150))
    assert not tenant.reserve(spends("b", 50)).refused
    charged(tenant, 120)
    tenant.settle("a", "b")
    assert left(tenant) == 30
    assert tenant.standing()["credits"].used == 120


def test_a_new_account_never_sees_what_was_used_of_the_one_before(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account(100, TODAY - 3))
    charged(tenant, 90)
    old, tenant.limits = tenant.limits, TenantLimits("acme", ROW, account(100, TODAY))
    assert tenant.limits.base_key != old.base_key
    assert tenant.reserve(spends("a", 1)).unknown  # until the ledger has said what was used since
    tenant.settle(base=True)
    assert not tenant.reserve(spends("a", 100)).refused
    tenant.limits = old
    tenant.settle(base=True)
    assert tenant.standing()["credits"].used == 90


def test_other_amounts_are_no_other_sums() -> None:
    keys = {TenantLimits("acme", ROW, account(booked)).base_key for booked in (1, 2)}
    assert len(keys) == 1
    assert TenantLimits("acme", ROW).base_key not in keys


def test_low_is_told_once_and_again_when_credits_have_come_meanwhile(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    assert charged(tenant, 70, 1) == []
    (first,) = charged(tenant, 71, 2)
    assert (first.name, first.used, first.soft) == ("credits", 71, 70)
    assert charged(tenant, 90, 3) == []
    booked(tenant, account(115))  # 25 are left: still below 30
    assert charged(tenant, 91, 4) == []
    booked(tenant, account(200))
    assert warned(tenant.reserve(spends("a", 5))) == []
    (second,) = charged(tenant, 171, 5)
    assert (second.used, second.soft) == (171, 170)
    assert warned(tenant.reserve(spends("b", 5))) == [("credits", 171)]


def test_low_is_told_of_an_account_that_begins_so(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account(20))
    assert warned(tenant.reserve(spends("a", 1))) == [("credits", 0)]
    (alert,) = tenant.settle("a").alerts
    assert (alert.used, alert.soft) == (0, -10)


def test_what_is_open_is_charged_and_given_back(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    tenant.reserve(spends("a", 80))
    assert tenant.standing()["credits"].reserved == 80
    charged(tenant, 12)
    tenant.settle(Settled("a", EPOCH, START, tenant.applying(), usd_nano=12))
    now = tenant.standing()["credits"]
    assert (now.used, now.reserved, now.left, now.reset_ms) == (12, 0, 88, 0)


def test_the_sum_outlives_a_month_without_requests(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    charged(tenant, 12)
    (key,) = raw.keys("hg:{acme}:*:credits")  # type: ignore[misc]
    life: Any = raw.pttl(key)
    assert 399 * DAY_MS < life <= 400 * DAY_MS


@pytest.mark.parametrize("clients", [32])
def test_32_clients_at_once_never_get_more_than_there_is(
    shared_valkey: ValkeyServer, raw: Redis, clients: int
) -> None:
    row = LimitsRow((LimitRow("credits", None, floor=-7),))
    Tenant(raw, row, account=account(1000))
    passed: list[int] = []

    def client(number: int) -> None:
        with shared_valkey.raw_client() as own:
            tenant = Tenant(own, row, account=account(1000), base=False, most_users=MOST_USERS)
            verdicts = [tenant.reserve(spends(f"{number}-{turn}", 3)) for turn in range(20)]
            passed.extend(3 for verdict in verdicts if not verdict.refused)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 1005
    assert left(Tenant(raw, row, account=account(1000), base=False)) == 2


def warned(verdict: Verdict) -> list[tuple[str, int]]:
    assert not verdict.refused
    return [(limit.name, used) for limit, used in zip(verdict.warned, verdict.warned_used, strict=True)]


def test_what_a_lost_record_holds_comes_back_in_days(raw: Redis) -> None:
    """Without an end of the window nothing else would ever give it back."""
    tenant = Tenant(raw, ROW, account=account())
    tenant.reserve(spends("lost", 80))
    raw.delete(record_key("acme", "lost"))
    charged(tenant, 80)  # the ledger knows of it all the same
    tenant.settle("lost")
    assert left(tenant) == 0
    later = (TODAY + 4) * DAY_MS
    assert left(tenant, later - 1) == 0
    assert left(tenant, later) == 20
    assert not tenant.reserve(spends("a", 20), now=later).refused
    assert held_fields(raw) == [b"r:%d" % (TODAY + 4)]


def test_what_is_held_over_midnight_is_given_back(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    midnight = (TODAY + 1) * DAY_MS
    tenant.reserve(spends("a", 40), now=midnight - 1)
    tenant.reserve(spends("b", 50), now=midnight)
    assert left(tenant, midnight) == 10
    tenant.settle("a", now=midnight)
    assert left(tenant, midnight) == 50
    tenant.settle("b", now=midnight)
    assert left(tenant, midnight) == 100
    assert held_fields(raw) == []


def test_what_is_reserved_late_is_held_by_the_day_on_which_it_passed(raw: Redis) -> None:
    tenant = Tenant(raw, ROW, account=account())
    midnight = (TODAY + 1) * DAY_MS
    tenant.reserve(spends("a", 130), now=midnight + 1000, passed_ms=midnight - 1000)
    assert held_fields(raw) == [b"r:%d" % TODAY]
    assert tenant.standing(now=midnight + 1000)["credits"].reserved == 130
    tenant.settle("a", now=midnight + 2000)
    assert left(tenant, midnight + 2000) == 100


def held_fields(raw: Redis) -> list[bytes]:
    (key,) = raw.keys("hg:{acme}:*:credits")  # type: ignore[misc]
    return [name for name in raw.hkeys(key) if name.startswith(b"r")]  # type: ignore[union-attr]
