"""Counters that are killed, stopped, flushed or without the ledger's sums: requests are decided all the same."""

import datetime as dt
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limiter_process import EPOCH, Answer, Worker, know_sums, limiting, rows_of, write_config

from headgate.counters.limits import TenantLimits
from headgate.counters.settlement import Settled, settle_call
from headgate.limits import LimitRow, LimitsRow
from tests.counters.valkey_server import ValkeyServer, valkey_server

PLANS = {
    "rpm": {"rpm": 10},
    "tpm": {"tpm": 1000},
    "month": {"monthly_tokens": 144_000},
    "slots": {"concurrency": 1},
    "probe": {"rpm": 1_000_000},
}
AWAY, BACK = "counters are away", "counters are back"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that may be hurt."""
    (tmp_path / "v").mkdir()
    with valkey_server(tmp_path / "v") as running:
        yield running


@pytest.fixture
def worker(own: ValkeyServer, tmp_path: Path) -> Iterator[Worker]:
    """One of two, as it believes. It has asked once, so its connection is there."""
    with limiting(tmp_path, own, PLANS, workers=2) as (running,):
        wait_for(lambda: running.ask("probe", "first").reserved is False)
        with own.client() as client:
            know_sums(client, rows_of(PLANS, "month"))
        yield running


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def each(worker: Worker, tenant: str, number: int, **entries: int) -> list[Answer]:
    return [worker.ask(tenant, f"{tenant}{at}", **entries) for at in range(number)]


@pytest.mark.parametrize("how", ["killed", "stopped", "full"])
def test_a_worker_limits_by_itself_until_they_are_back(worker: Worker, own: ValkeyServer, how: str) -> None:
    hurt(own, how)
    try:
        wait_for(lambda: worker.logged(AWAY) or worker.ask("probe", "second").reserved is True)
        assert_shares(worker)
    finally:
        heal(own, how)
    wait_for(lambda: worker.ask("probe", "third").reserved is False)
    with own.client() as client:
        know_sums(client, rows_of(PLANS, "month"))
    answer = worker.ask("rpm", "afterwards")
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert [len(worker.logged(event)) for event in (AWAY, BACK)] == [1, 1]


def hurt(server: ValkeyServer, how: str) -> None:
    if how == "killed":
        server.kill()
    elif how == "stopped":
        server.send(signal.SIGSTOP)
    else:
        with server.client() as client:
            client.config_set("maxmemory", 1)


def heal(server: ValkeyServer, how: str) -> None:
    if how == "killed":
        server.start()
    elif how == "stopped":
        server.send(signal.SIGCONT)
    else:
        with server.client() as client:
            client.config_set("maxmemory", 0)


def assert_shares(worker: Worker) -> None:
    answers = each(worker, "rpm", 7)
    assert [answer.is_ok for answer in answers] == [True] * 5 + [False] * 2
    assert [answer.reserved for answer in answers] == [None] * 5 + [False] * 2
    assert answers[-1].error["code"] == "rate_limit_exceeded"
    assert "lets 5 of 10 requests per minute (rpm) pass, used 5." in answers[-1].error["message"]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["4", "3", "2", "1", "0", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"5"}  # this worker's part of 10
    answers = each(worker, "tpm", 3, input=100, output=200)
    assert [answer.headers["x-ratelimit-remaining-tokens"] for answer in answers] == ["200", "0", "0"]
    assert [(answer.is_ok, answer.max_tokens) for answer in answers] == [(True, None), (True, "100"), (False, None)]
    answers = each(worker, "month", 2, input=100)
    assert [answer.is_ok for answer in answers] == [True, False]
    for answer in answers:
        assert answer.headers["x-ratelimit-limit-tokens"] == "100"
        assert re.fullmatch(r"(59|60|1h[01])m\d+s", answer.headers["x-ratelimit-reset-tokens"])
    asked_at = dt.datetime.now(dt.UTC)
    headers = worker.ask("month", "messages", input=100, surface="messages").headers
    assert headers["anthropic-ratelimit-tokens-remaining"] == "0"
    reset = dt.datetime.fromisoformat(headers["anthropic-ratelimit-tokens-reset"])
    assert 3500 < (reset - asked_at).total_seconds() < 3672  # an hour, and the minute that runs
    assert "lets 100 tokens pass in an hour, of 144000 tokens per month" in answers[-1].error["message"]
    assert answers[-1].error["code"] == "rate_limit_exceeded"
    assert not worker.ask("tpm", "large", input=1001).is_ok
    assert worker.ask("tpm", "large", input=1001).error["code"] == "insufficient_quota"
    assert all(answer.is_ok for answer in each(worker, "slots", 3))


def test_what_was_let_through_is_reserved_when_they_are_back(worker: Worker, own: ValkeyServer) -> None:
    """Else nobody would know of it where Envoy is killed. There may be no room; what is settled holds nothing."""
    settles = TenantLimits("slots", rows_of(PLANS, "slots")["slots"]).applying("ci", "chat", "")
    own.kill()
    wait_for(lambda: worker.logged(AWAY) or worker.ask("probe", "second").reserved is True)
    assert [answer.reserved for answer in each(worker, "slots", 3)] == [None] * 3
    assert worker.ask("tpm", "a", input=100, output=200).reserved is None
    own.start()
    with own.client() as client:
        wait_for(lambda: client.zcard("hg:{slots}:open") == 3)
        wait_for(lambda: client.zcard("hg:{tpm}:open") == 1)
        answer = worker.ask("tpm", "b", input=50, output=50)
        assert answer.headers["x-ratelimit-remaining-tokens"] == "600"
        assert worker.ask("slots", "b").reserved is True  # nobody knows whether the others still run
        for number in ("slots0", "slots1", "slots2", "b"):
            ended = Settled(number, EPOCH, int(time.time() * 1000), settles, 1, 0, 0, 0)
            script, keys, arguments = settle_call("slots", [ended], gateway="g")
            client.eval(script.text, len(keys), *keys, *arguments)
        assert worker.ask("slots", "c").reserved is True


def test_emptied_counters_know_no_quota_until_the_ledger_has_written_it(worker: Worker, own: ValkeyServer) -> None:
    """Else a month's limit would begin anew with every flush."""
    assert worker.ask("month", "a", input=100).reserved is True
    with own.client() as client:
        client.flushall()
        answers = each(worker, "month", 2, input=100)
        assert [(answer.is_ok, answer.reserved) for answer in answers] == [(True, None), (False, False)]
        assert worker.ask("rpm", "a").headers["x-ratelimit-remaining-requests"] == "9"  # nothing to be written for it
        assert worker.ask("slots", "a").reserved is True
        know_sums(client, rows_of(PLANS, "month"))
        wait_for(lambda: client.zcard("hg:{month}:open") == 1)  # the one that was let through
        answer = worker.ask("month", "b", input=100)
        assert (answer.is_ok, answer.reserved) == (True, True)
        assert answer.headers["x-ratelimit-remaining-tokens"] == "143800"
    assert len(worker.logged("the ledger's sums are not in the counters")) == 1
    wait_for(lambda: len(worker.logged("no sums of the ledger are missed any more")) == 1)
    assert not worker.logged(AWAY)


def test_a_server_that_forgets_its_scripts_again_and_again(worker: Worker, own: ValkeyServer) -> None:
    with own.client() as client:
        for number in range(30):
            client.script_flush()
            assert worker.ask("slots" if number == 0 else "probe", f"s{number}").reserved is (number == 0)
    assert not worker.logged(AWAY)


def test_what_passed_meanwhile_counts_once_they_are_back(worker: Worker, own: ValkeyServer) -> None:
    """As the ledger adds it: it settles requests of which nobody knows whether they reserved something."""
    hurt(own, "killed")
    wait_for(lambda: worker.logged(AWAY) or worker.ask("probe", "second").reserved is True)
    passed = [at for at, answer in enumerate(each(worker, "rpm", 7)) if answer.is_ok]
    heal(own, "killed")
    applying = TenantLimits("rpm", LimitsRow((LimitRow("rpm", 10),))).applying("ci", "chat", "")
    with own.client() as client:
        seconds, _ = client.time()  # type: ignore[misc]
        missed = [Settled(f"rpm{at}", "20260101T000000-aaaaaa", seconds * 1000, applying) for at in passed]
        script, keys, arguments = settle_call("rpm", missed)
        client.eval(script.text, len(keys), *keys, *arguments)
    wait_for(lambda: worker.ask("probe", "third").reserved is False)
    assert worker.ask("rpm", "afterwards").headers["x-ratelimit-remaining-requests"] == "4"


def test_a_reload_changes_limits_at_once_and_forgets_nothing(
    worker: Worker, own: ValkeyServer, tmp_path: Path
) -> None:
    assert worker.ask("tpm", "a", input=300).headers["x-ratelimit-remaining-tokens"] == "700"
    more = {**PLANS, "tpm": {"tpm": 5000, "monthly_tokens": 100}}
    write_config(tmp_path / "gateway.yaml", own, more)
    with own.client() as client:
        know_sums(client, rows_of(more, "tpm"))
    worker.reload()
    # Never let in, before or after: a request that was is let in for good.
    wait_for(lambda: "monthly_tokens" in worker.ask("tpm", "b", input=901).error["message"])
    answer = worker.ask("tpm", "c", input=50)
    assert answer.is_ok
    write_config(tmp_path / "gateway.yaml", own, {**PLANS, "tpm": {"tpm": 5000}})
    worker.reload()
    wait_for(lambda: worker.ask("tpm", "d", input=101).is_ok)
    assert worker.ask("tpm", "e", input=9).headers["x-ratelimit-remaining-tokens"] == "4540"
