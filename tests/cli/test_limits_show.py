"""`headgate limits show` against a running ledger: the table, the JSON, and what is said when there is no answer."""

import datetime as dt
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from headgate.limits import LimitRow, LimitsRow, user_name
from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.ledger.ledger_process import HEADGATE, Ledger, end_line, open_slots, reserve, wait_until
from tests.ledger.limited_tenant import LIMITS, write_tables

EPOCH = "20260101T000000-aaaaaa"
Result = subprocess.CompletedProcess[str]


@pytest.fixture
def ledger(server: ValkeyServer, valkey: Redis, tmp_path: Path) -> Iterator[Ledger]:
    """Tenant acme has used something, and one of its requests runs."""
    ledger = Ledger(tmp_path / "state", server.socket)
    write_tables(ledger)
    ledger.alive(EPOCH)
    try:
        ledger.start()
        caller = {"key_id": "ci", "model": "big", "user": "jo", "fixed_nano": 2_500_000, "rate_nano": "10000"}
        reserve(valkey, EPOCH, "a", "b", "c", limits=LIMITS, input=1000, output=500, **caller)
        reserve(valkey, EPOCH, "d", limits=LIMITS, key_id="dev", input=100, output=50)
        ledger.append(EPOCH, b"".join(map(ended, "abc")))
        wait_until(lambda: open_slots(valkey) == {"d"})
        yield ledger
    finally:
        print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
        ledger.close()


def ended(request_id: str) -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    counts = {"prompt_tokens": 900, "completion_tokens": 321, "status": 200, "attempts": 1, "price_generation": 1}
    return end_line(request_id, key_id="ci", model="big", user="jo", time=now, **counts)


def show(state: Path, *arguments: str) -> Result:
    command = [HEADGATE, "limits", "show", "--state", str(state), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def rows(state: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    result = show(state, "acme", "--json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert (answer["tenant"], answer["complete"], answer["cut"]) == ("acme", True, False)
    return {row["name"]: row for row in answer["limits"]}


def lines(result: Result) -> list[list[str]]:
    """The table's cells."""
    assert (result.returncode, result.stderr) == (0, "")
    return [re.split(r" {2,}", line.strip()) for line in result.stdout.splitlines()]


def test_the_table_for_people(ledger: Ledger) -> None:
    head, *table = lines(show(ledger.state, "acme"))
    assert head == ["limit", "of", "used", "reserved", "left", "up to", "resets"]
    assert ["concurrency", "tenant", "0", "1", "3", "4"] in table
    requests = next(row for row in table if row[0] == "daily_requests")
    assert requests[:6] == ["daily_requests", "tenant", "3", "1", "96", "2"]
    assert re.fullmatch(r"in (\d+ h( \d+ m)?|\d+ m( \d+ s)?|\d+ s) \(.+ UTC\)", requests[6])
    assert requests[7] == "goes on to 100, 1 above the limit for $0.002"
    money = next(row for row in table if row[0] == "monthly_usd")
    assert money[:6] == ["monthly_usd", "for big", "$0.01638", "$0.00", "$19.98362", "$20.00"]
    assert re.fullmatch(r"in \d+ \w( \d+ \w)? \(\d{4}-\d\d-15 00:00 UTC\)|in .+ \(00:00:00 UTC\)", money[6])
    assert [row[:2] for row in table if row[0] == "rpm"] == [
        ["rpm", "tenant"],
        ["rpm", 'key "dev"'],
        ["rpm", 'key "ci"'],
    ]
    assert not any("user" in cell for row in table[:-1] for cell in row)


def test_the_json_for_programs(ledger: Ledger) -> None:
    found = rows(ledger.state)
    tokens = found["monthly_tokens"]
    assert (tokens["used"], tokens["reserved"], tokens["soft"]) == (3663, 150, 5000)
    assert (tokens["cap"], tokens["left"], tokens["unit"]) == (None, None, "tokens")
    assert dt.datetime.fromisoformat(tokens["resets_at"]).day == 15
    assert found["daily_requests"]["overage"] == {"used": 1, "price_usd": "2", "cost_usd": "0.002"}
    assert found["rpm:key=ci"]["cap"] == 5
    assert found["daily_tokens:key=ci,model=big"]["used"] == 3663
    assert found["daily_tokens:key=dev,model=chat"]["reserved"] == 150
    assert len(found) == 12
    money = next(row for row in found.values() if row["limit"] == "monthly_usd")
    assert (money["used"], money["cap"], money["scope"]) == ("0.01638", "20", {"models": ["big"]})


def test_filters(ledger: Ledger) -> None:
    assert {row["limit"] for row in rows(ledger.state, "--model", "chat").values()} >= {"rpm", "daily_tokens"}
    assert "monthly_usd" not in {row["limit"] for row in rows(ledger.state, "--model", "chat").values()}
    assert not any("ci" in name for name in rows(ledger.state, "--key", "dev"))
    assert "rpm:key=dev" in rows(ledger.state, "--key", "dev")
    of_user = rows(ledger.state, "--user", "jo")[f"daily_tokens:user={user_name('jo')}"]
    assert (of_user["used"], of_user["left"], of_user["scope"]) == (3663, 6337, {"user": user_name("jo")})
    assert rows(ledger.state, "--user", "")["daily_tokens:user="]["reserved"] == 150  # those without one
    (row,) = (row for row in lines(show(ledger.state, "acme", "--user", "jo")) if row[1] == 'user "jo"')
    assert row[2:5] == ["3,663", "0", "6,337"]


def test_limits_follow_a_reload_and_keep_what_was_used(ledger: Ledger) -> None:
    write_tables(ledger, limits=LimitsRow((LimitRow("daily_requests", 7),)))
    wait_until(lambda: rows(ledger.state).get("daily_requests", {}).get("cap") == 7)
    assert rows(ledger.state)["daily_requests"]["used"] == 3


def test_limits_by_user_are_not_forgotten(ledger: Ledger) -> None:
    assert "limits by user: name one with --user" in show(ledger.state, "acme").stdout
    assert "limits by user" not in show(ledger.state, "acme", "--user", "jo").stdout
    write_tables(ledger, limits=LimitsRow((LimitRow("rpm", 7, by=("user",)),)))
    wait_until(lambda: not rows(ledger.state))
    assert show(ledger.state, "acme").stdout == "acme: limits by user: name one with --user\n"


def test_a_tenant_without_limits(ledger: Ledger) -> None:
    result = show(ledger.state, "globex")
    assert (result.returncode, result.stdout, result.stderr) == (0, "globex: no limits\n", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("acm",), 'unknown tenant "acm" (did you mean "acme"?)'),
        (("zzz",), 'unknown tenant "zzz" (known: acme, globex)'),
        (("acme", "--key", "CI"), 'unknown key "CI" (did you mean "ci"?)'),
        (("acme", "--model", "chta"), 'unknown model "chta" (did you mean "chat"?)'),
    ],
)
def test_names_that_are_none(ledger: Ledger, arguments: tuple[str, ...], text: str) -> None:
    result = show(ledger.state, *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"{text}\n")


@pytest.mark.parametrize("end", [Ledger.kill, Ledger.end])
def test_a_ledger_that_is_away(ledger: Ledger, end: Callable[[Ledger], None]) -> None:
    end(ledger)
    result = show(ledger.state, "acme")
    text = f"the ledger of the gateway on {ledger.state} is away, and is started again: try again in a moment\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", text)


def test_a_folder_where_nothing_is(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        result = show(folder, "acme")
        text = f"no gateway runs on {folder}: give its --state\n"
        assert (result.returncode, result.stdout, result.stderr) == (1, "", text)


def test_without_counters(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    with valkey_server(tmp_path / "valkey") as server:
        ledger = Ledger(tmp_path / "state", server.socket)
        write_tables(ledger)
        try:
            ledger.start()
            server.kill()
            result = show(ledger.state, "acme")
            assert (result.returncode, result.stdout) == (1, "")
            assert result.stderr.startswith("the counters are away: ")
            assert result.stderr.count("\n") == 1
        finally:
            ledger.close()
