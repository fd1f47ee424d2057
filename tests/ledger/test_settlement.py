"""Settlement by the real ledger on a real Valkey: what is used is what the spool says, whatever is killed when."""

import datetime as dt
import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_process import Ledger, end_line, open_slots, stands, wait_until
from redis import Redis
from spending import (
    E1,
    E2,
    LIMITS,
    PRICE,
    USER_LIMITS,
    base_of,
    calendar_of,
    charged,
    in_database,
    reserved,
    settled_as,
    used_line,
)

from headgate.counters.limits import TenantLimits
from headgate.counters.reservation import Verdict, Wish, read_verdict, reserve_call
from headgate.counters.scripts import REMEMBER_MS, limit_key, record_key
from headgate.limits import LimitRow, LimitsRow, user_name
from tests.counters.valkey_server import ValkeyServer, valkey_server


def test_real_usage_takes_the_place_of_what_was_reserved(limited: Ledger, valkey: Redis) -> None:
    reserved(valkey, E1, "a", "b", "c")
    assert calendar_of(valkey)["monthly_tokens"] == (0, 4500)
    limited.append(E1, used_line("a") + used_line("b", 7, 0, cached_tokens=3))
    wait_until(lambda: open_slots(valkey) == {"c"})
    now = stands(valkey, LIMITS)
    assert now["monthly_tokens"] == (127, 1500)
    assert now["monthly_usd"] == (450_000 + 13_750, 7_500_000)
    assert now["tpm"] == (127, 1500)
    assert now["daily_requests"] == (2, 1)
    assert now["concurrency"] == (0, 1)
    limited.append(E1, end_line("c", attempts=1, status=503, key_id="ci"))
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey) == settled_as(charged(limited.spool))


def test_a_request_counts_on_the_day_on_which_it_began(limited: Ledger, valkey: Redis) -> None:
    today = int(time.time()) // 86_400 * 86_400
    ends = time.strftime("%Y-%m-%dT00:00:01.000Z", time.gmtime(today))
    reserved(valkey, E1, "a", "b", "slow")
    limited.append(E1, used_line("a", time=ends, duration_ms=999) + used_line("b", time=ends, duration_ms=1001))
    limited.append(E1, used_line("slow", time=ends, duration_ms=9000, request_ms=8001))
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey)["daily_requests"] == (2, 0)
    days = in_database(limited, "SELECT day * 86400, requests FROM usage_by_day ORDER BY day")
    assert days == [(today - 86_400, 1), (today, 2)]


def test_what_ended_without_counters_is_added(limited: Ledger, valkey: Redis) -> None:
    limited.append(E1, used_line("a", reserved=None) + used_line("b", reserved=None, attempts=0, status=403))
    wait_until(lambda: calendar_of(valkey) == settled_as(charged(limited.spool)))
    assert stands(valkey, LIMITS)["tpm"][0] == 120


def test_what_ended_without_counters_is_known_for_as_long_as_it_may_be_reserved(
    limited: Ledger, valkey: Redis
) -> None:
    limited.append(E1, used_line("a", time=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), reserved=None))
    wait_until(lambda: valkey.exists(record_key("acme", "a")))
    assert int(valkey.pttl(record_key("acme", "a"))) > REMEMBER_MS  # type: ignore[arg-type]


def test_a_new_limit_is_unknown_until_its_sums_are_there(limited: Ledger, valkey: Redis) -> None:
    """As the limiter may know of it before the ledger does. A changed cap is no new limit."""
    limited.append(E1, used_line("a"))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120, 0))
    caps = tuple(LimitRow(row.kind, 10**9, by=row.by) for row in LIMITS.limits)
    assert base_of(LimitsRow(caps)) == base_of(LIMITS) == base_of(LimitsRow(caps[::-1]))
    more = [LimitsRow((*caps, LimitRow("daily_tokens", 5000, models=("chat",)))), LimitsRow(caps, anniversary=7)]
    more.append(LimitsRow(caps, {"ci": (LimitRow("daily_usd", 10**9, by=("key",)),)}))
    for limits in more:
        assert reserves(valkey, limits).unknown
        limited.tables({"acme": limits}, PRICE)
        wait_until(lambda: valkey.hkeys(base_of(limits)))  # noqa: B023
        assert set(calendar_of(valkey, limits).values()) == {(0, 0), (120, 0), (1, 0), (450_000, 0)}
    assert reserves(valkey, LIMITS).unknown  # what is not in use any more is not kept up to date


def test_limits_that_are_removed_are_forgotten(limited: Ledger, valkey: Redis) -> None:
    limited.tables({"acme": LimitsRow((LimitRow("rpm", 5),))}, PRICE)
    wait_until(lambda: not valkey.hkeys(base_of(LIMITS)))
    limited.tables({"acme": LIMITS}, PRICE)
    wait_until(lambda: valkey.hkeys(base_of(LIMITS)))
    limited.tables({}, PRICE)
    wait_until(lambda: not valkey.hkeys(base_of(LIMITS)))
    reserved(valkey, E1, "a", limits=LimitsRow((LimitRow("concurrency", 5),)))
    limited.append(E1, used_line("a"))
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey)["monthly_tokens"] == (0, 0)
    limited.tables({"acme": LIMITS}, PRICE)
    wait_until(lambda: valkey.hkeys(base_of(LIMITS)))
    assert calendar_of(valkey)["monthly_tokens"] == (120, 0)


def test_users_are_kept_apart_where_a_limit_counts_them(ledger: Ledger, valkey: Redis) -> None:
    rows = (LimitRow("daily_tokens", 10**6, by=("user",), models=("chat",)), LimitRow("rpm", 9, by=("user",)))
    ledger.alive(E1)
    ledger.tables({"acme": LimitsRow(rows)}, PRICE)
    ledger.append(E1, b"".join(used_line(f"big{number}", model="big", user=f"u{number}") for number in range(5)))
    ledger.append(E1, used_line("chat", user="ann"))
    ledger.start()
    wait_until(lambda: len(in_database(ledger, "SELECT 1 FROM usage_by_day")) == 2)
    assert in_database(ledger, "SELECT model, user, requests FROM usage_by_day ORDER BY model") == [
        ("big", "-", 5),
        ("chat", user_name("ann"), 1),
    ]
    assert in_database(ledger, "SELECT user FROM users_by_day") == [(user_name("ann"),)]


def test_limits_that_change_hold_at_once_with_what_was_used(limited: Ledger, valkey: Redis) -> None:
    limited.append(E1, used_line("a") + used_line("g", tenant="globex") + used_line("u", user="eve"))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (240, 0))
    other = LimitsRow(
        (LimitRow("daily_usd", 10**12), LimitRow("monthly_requests", 5, models=("chat",))), anniversary=7
    )
    limited.tables({"acme": other, "globex": USER_LIMITS}, PRICE)
    wait_until(lambda: valkey.hkeys(base_of(USER_LIMITS, "globex")))
    wait_until(lambda: calendar_of(valkey, other).get("daily_usd") == (900_000, 0))
    assert [used for used, _ in calendar_of(valkey, other).values()] == [900_000, 2]
    assert calendar_of(valkey, USER_LIMITS, tenant="globex")["monthly_tokens"] == (120, 0)
    # By user counts what came since.
    limited.append(E1, used_line("h", tenant="globex", user="eve"))
    wait_until(lambda: calendar_of(valkey, USER_LIMITS, tenant="globex")["monthly_tokens"] == (240, 0))
    of_eve = calendar_of(valkey, USER_LIMITS, tenant="globex", user="eve")
    assert of_eve[f"daily_tokens:user={user_name('eve')}"] == (120, 0)


def test_killed_at_any_moment_everything_counts_once(ledger: Ledger, valkey: Redis) -> None:
    """SIGKILL while lines come in, again and again; at the end, all sums are those of the spool."""
    chance = random.Random(5)  # noqa: S311
    ledger.alive(E1)
    ledger.tables({"acme": LIMITS}, PRICE)
    ledger.start()
    number = 0
    for round_ in range(14):
        for _ in range(10):
            some = [f"r{number + index}" for index in range(20)]
            number += 20
            reserved(valkey, E1, *some)
            ledger.append(
                E1, b"".join(used_line(name, chance.randrange(900), chance.randrange(400)) for name in some)
            )
            if chance.random() < 0.3:
                ledger.path(E1).rename(ledger.path(f"{E1}.{round_ + 1:06d}"))
                break
        time.sleep(chance.random() * 0.06)
        ledger.kill()
        if round_ % 3 == 0:
            (ledger.state / "ledger/checkpoint.json").unlink(missing_ok=True)
        ledger.start()
    wait_until(lambda: not open_slots(valkey))
    wait_until(lambda: calendar_of(valkey) == settled_as(charged(ledger.spool)), says=ledger.log)
    assert charged(ledger.spool).requests == number
    assert not ledger.logged("requests without a record are charged their estimate")


def reserves(valkey: Redis, limits: LimitsRow) -> Verdict:
    """What a limiter with these limits is told."""
    applying = TenantLimits("acme", limits).applying("ci", "chat", "")
    script, keys, arguments = reserve_call(applying, Wish("probe", E1), 1000)
    return read_verdict(applying, valkey.eval(script.text, len(keys), *keys, *arguments))  # type: ignore[arg-type]


@pytest.fixture
def second(server: ValkeyServer, tmp_path: Path) -> Iterator[Ledger]:
    """Another gateway's ledger on the same counters."""
    ledger = Ledger(tmp_path / "second", server.socket)
    yield ledger
    ledger.close()


def test_two_gateways_on_one_valkey_add_up(limited: Ledger, second: Ledger, valkey: Redis) -> None:
    second.alive(E2)
    second.tables({"acme": LIMITS}, PRICE)
    second.start()
    for number in range(30):
        for ledger, epoch in ((limited, E1), (second, E2)):
            reserved(valkey, epoch, f"{epoch}{number}")
            ledger.append(epoch, used_line(f"{epoch}{number}", 10 + number, number))
        if number == 20:
            second.kill()
    second.start()
    both = settled_as(charged(limited.spool, second.spool))
    wait_until(lambda: calendar_of(valkey) == both)
    assert len(valkey.hkeys(base_of(LIMITS))) == 2
    valkey.flushall()
    wait_until(lambda: calendar_of(valkey) == both)


def test_counters_that_were_emptied_get_their_sums_back(limited: Ledger, valkey: Redis) -> None:
    reserved(valkey, E1, "a")
    limited.append(E1, used_line("a"))
    wait_until(lambda: not open_slots(valkey))
    valkey.flushall()
    took = wait_until(lambda: calendar_of(valkey) == settled_as(charged(limited.spool)))
    assert limited.logged("counters have lost the calendar's sums: they are written again")
    print(f"back after {took:.1f} s")  # noqa: T201
    assert valkey.hkeys(base_of(LIMITS))


def test_counters_that_come_back_with_an_older_state(tmp_path: Path) -> None:
    """A copy of the append-only file from before is put in its place: what was settled since is settled again."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    with valkey_server(folder) as server:
        ledger = Ledger(tmp_path / "state", server.socket)
        ledger.alive(E1)
        ledger.tables({"acme": LIMITS}, PRICE)
        ledger.start()
        with server.client() as valkey:
            reserved(valkey, E1, *(f"r{number}" for number in range(50)))
            ledger.append(E1, b"".join(used_line(f"r{number}") for number in range(10)))
            wait_until(lambda: len(open_slots(valkey)) == 40)
            valkey.config_set("appendfsync", "always")
            files = sorted((folder / "appendonlydir").iterdir())
            before = {path: path.read_bytes() for path in files}
            ledger.append(E1, b"".join(used_line(f"r{number}") for number in range(10, 50)))
            wait_until(lambda: not open_slots(valkey))
        server.kill()
        for path, data in before.items():
            path.write_bytes(data)
        server.start()
        with server.client() as valkey:
            wait_until(lambda: not open_slots(valkey), says=ledger.log)
            wait_until(lambda: calendar_of(valkey) == settled_as(charged(ledger.spool)), says=ledger.log)
        assert not ledger.logged("requests without a record are charged their estimate")
        ledger.close()


def test_sums_that_stay_lost_are_written_ever_more_seldom(limited: Ledger, valkey: Redis) -> None:
    """As by a key of another sort in the way."""
    valkey.flushall()
    valkey.set(limit_key("acme", "daily_requests"), "in the way")
    limited.append(E1, used_line("a"))  # a sum to be written there
    event = "counters have lost the calendar's sums: they are written again"
    wait_until(lambda: len(limited.logged(event)) == 4)
    moments = [dt.datetime.fromisoformat(line["time"]) for line in limited.logged(event)]
    pauses = [(after - before).total_seconds() for before, after in itertools.pairwise(moments)]
    assert pauses[1] >= 1.9
    assert pauses[2] >= 3.9
    valkey.delete(limit_key("acme", "daily_requests"))
    wait_until(lambda: calendar_of(valkey)["daily_requests"] == (1, 0))


def test_a_soft_limit_that_is_crossed_is_told(limited: Ledger, valkey: Redis) -> None:
    limited.append(E1, used_line("a", 0, 100_001))
    wait_until(lambda: limited.logged("soft limit exceeded"))
    (told,) = limited.logged("soft limit exceeded")
    assert (told["tenant"], told["limit"]) == ("acme", "monthly_usd")
    wait_until(lambda: not valkey.keys("hg:{acme}:alerts*"))  # it has said that it was told


def test_two_ledgers_on_one_spool_count_it_once(limited: Ledger, server: ValkeyServer, valkey: Redis) -> None:
    """As for a moment when a supervisor was killed and the next one starts its own."""
    other = Ledger(limited.state, server.socket)
    other.start()
    for number in range(60):
        reserved(valkey, E1, f"r{number}")
        limited.append(E1, used_line(f"r{number}", number, 1))
    wait_until(lambda: not open_slots(valkey))
    everything = settled_as(charged(limited.spool))
    wait_until(lambda: calendar_of(valkey) == everything)
    limited.end()
    limited.append(E1, used_line("last"))
    wait_until(lambda: calendar_of(valkey) == settled_as(charged(limited.spool)))
    other.close()


def test_an_end_is_settled_at_once(limited: Ledger, valkey: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    took = []
    for number in range(40):
        reserved(valkey, E1, f"r{number}")
        limited.append(E1, used_line(f"r{number}"))
        took.append(wait_until(lambda: not open_slots(valkey)))
    with capsys.disabled():
        print(f"\nsettled after {sorted(took)[20] * 1000:.0f} ms, {max(took) * 1000:.0f} ms at most")  # noqa: T201
