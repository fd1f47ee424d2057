"""Reservations that nobody settles are charged what they had reserved, once, and only until the truth is known."""

import time
from pathlib import Path

import pytest
from ledger_process import Ledger, end_line, open_slots, wait_until
from redis import Redis
from spending import E1, E2, LIMITS, PRICE, calendar_of, charged, in_database, reserved, settled_as, used_line

from headgate.counters.scripts import record_key
from ledger.settling.charges import Charge
from ledger.spool.spool_search import SpoolSearch

ESTIMATE = Charge(1, 1000, 500, 7_500_000)
CHARGED = "requests without a record are charged their estimate"


def estimates(ledger: Ledger) -> list[tuple[str, str, int, bool]]:
    found = in_database(ledger, "SELECT request_id, reason, nano_usd, replaced FROM charged_estimates ORDER BY 1")
    return [(name, reason, nano, replaced is not None) for name, reason, nano, replaced in found]


def plus(one: Charge, other: Charge, times: int = 1) -> Charge:
    return Charge(
        one.requests + times * other.requests,
        one.input + times * other.input,
        one.output + times * other.output,
        one.usd_nano + times * other.usd_nano,
    )


def test_what_outlives_its_lease_is_charged_as_reserved(limited: Ledger, valkey: Redis) -> None:
    limited.append(E1, used_line("else"))
    reserved(valkey, E1, "lost", lease_ms=50)
    reserved(valkey, E1, "runs")
    reserved(valkey, E2, "others", lease_ms=50)  # another gateway's
    wait_until(lambda: open_slots(valkey) == {"runs", "others"})
    assert calendar_of(valkey)["monthly_tokens"] == (120 + 1500, 3000)
    assert calendar_of(valkey)["monthly_usd"] == (450_000 + 7_500_000, 15_000_000)
    assert estimates(limited) == [("lost", "lease", 7_500_000, False)]
    (told,) = limited.logged(CHARGED)
    assert told["request_ids"] == ["lost"]
    # Late, but it comes: the truth takes its place.
    limited.append(E1, used_line("lost", 10, 1))
    limited.append(E1, used_line("runs"))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120 + 11 + 120, 1500))
    assert calendar_of(valkey)["monthly_usd"] == (charged(limited.spool).usd_nano, 7_500_000)
    assert estimates(limited) == [("lost", "lease", 7_500_000, True)]


def test_a_late_line_that_costs_nothing_takes_it_back(limited: Ledger, valkey: Redis) -> None:
    """It was reserved, and the limiter's answer was lost: its line does not know, and nobody has worked on it."""
    limited.append(E1, used_line("else"))
    reserved(valkey, E1, "a", lease_ms=50)
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120 + 1500, 0))
    limited.append(E1, end_line("a", reserved=None, attempts=0, status=503, key_id="ci"))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (120, 0))
    assert [row.sign for row in limited.journal()] == [1, 1, -1, 1]


def test_requests_of_an_envoy_that_died_are_charged_once(ledger: Ledger, valkey: Redis) -> None:
    """Those with a line by it, half a line is none, and whatever is repeated."""
    ledger.alive(E1, E2)
    ledger.tables({"acme": LIMITS}, PRICE)
    ledger.start()
    reserved(valkey, E1, *(f"r{number}" for number in range(30)))
    reserved(valkey, E2, "lives")
    ledger.append(E1, b"".join(used_line(f"r{number}") for number in range(20)) + used_line("r20")[:60])
    wait_until(lambda: len(open_slots(valkey)) == 11)
    ledger.alive(E2)
    wait_until(lambda: open_slots(valkey) == {"lives"})
    reserved(valkey, E1, "late")  # it was under way when its Envoy died
    wait_until(lambda: open_slots(valkey) == {"lives"})
    wait_until(lambda: ledger.checkpoint()["closed"] == [E1])
    ledger.append(E2, used_line("lives"))
    wait_until(lambda: not open_slots(valkey))
    everything = plus(charged(ledger.spool), ESTIMATE, 11)
    wait_until(lambda: calendar_of(valkey) == settled_as(everything))
    assert [one[0] for one in estimates(ledger)] == sorted(["late", *(f"r{number}" for number in range(20, 30))])


def test_what_is_counted_already_is_settled_by_its_line(limited: Ledger, valkey: Redis) -> None:
    """As when the counters have forgotten that it was settled."""
    limited.append(E1, used_line("a", 7, 3))
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (10, 0))
    wait_until(lambda: valkey.exists(record_key("acme", "a")))
    valkey.delete(record_key("acme", "a"))
    reserved(valkey, E1, "a", lease_ms=50)
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey) == settled_as(charged(limited.spool))
    assert estimates(limited) == []


def test_what_may_have_been_counted_in_a_removed_file_is_not_charged(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.tables({"acme": LIMITS}, PRICE)
    ledger.append(f"{E1}.000001", used_line("a"))
    ledger.append(E1, used_line("b", time=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 60))))
    ledger.start()
    wait_until(lambda: calendar_of(valkey)["monthly_tokens"] == (240, 0))
    wait_until(lambda: valkey.exists(record_key("acme", "a")))
    ledger.path(f"{E1}.000001").unlink()
    valkey.delete(record_key("acme", "a"))
    reserved(valkey, E1, "a", lease_ms=50)
    wait_until(lambda: not open_slots(valkey))
    assert calendar_of(valkey)["monthly_tokens"] == (240, 0)
    assert estimates(ledger) == []


def test_killed_between_charging_and_settling_an_estimate_counts_once(limited: Ledger, valkey: Redis) -> None:
    names = [f"r{number}" for number in range(40)]
    limited.append(E1, used_line("else"))
    for round_ in range(4):
        reserved(valkey, E1, *names[10 * round_ : 10 * round_ + 10], lease_ms=20)
        wait_until(lambda: len(estimates(limited)) > 10 * round_)  # noqa: B023
        limited.kill()
        limited.start()
    wait_until(lambda: not open_slots(valkey))
    wait_until(lambda: calendar_of(valkey) == settled_as(plus(charged(limited.spool), ESTIMATE, 40)))
    assert len(estimates(limited)) == 40


def test_the_search_reads_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spool = tmp_path / "spool"
    spool.mkdir()
    start = b'{"v":1,"type":"start","request_id":"c","time":"2026-01-01T00:00:00.000Z"}\n'
    (spool / f"{E1}.000001.ndjson").write_bytes(end_line("a", time="2025-12-31T00:00:00.000Z") + start)
    (spool / f"{E2}.ndjson").write_bytes(end_line("b"))
    current = spool / f"{E1}.ndjson"
    current.write_bytes(end_line("x") + end_line("b")[:20])
    search = SpoolSearch(E1, ["a", "b", "c"], 0)
    search.go_on()
    assert set(search.ended) == {"a"}
    assert search.began_ms == {"c": 1_767_225_600_000}
    with current.open("ab") as file:
        file.write(end_line("b")[20:])
    current.rename(spool / f"{E1}.000002.ndjson")
    current.write_bytes(end_line("c"))
    search.go_on()
    assert set(search.ended) == {"a", "b", "c"}
    assert search.oldest_ms == 1_767_139_200_000
    assert search.covers(0, search.heads)
    assert search.covers(search.oldest_ms, {*search.heads, "gone"})
    assert not search.covers(search.oldest_ms - 1, {*search.heads, "gone"})
