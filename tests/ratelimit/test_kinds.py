"""Every kind of limit, whoever it is for: what passes, what is refused, and what the answer says of it."""

import datetime as dt
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from limiter_process import EPOCH, Answer, Worker, know_sums, limiting, rows_of
from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.counters.scripts import MOST_USERS
from headgate.counters.settlement import Settled, Sum, settle_call
from headgate.limits import NANO
from tests.counters.valkey_server import ValkeyServer

MIDNIGHT = re.compile(r"It resets at (\d{4}-\d\d-\d\dT00:00:00Z)\.$")


@dataclass(frozen=True)
class Case:
    """`passes` requests of this size pass, the next one is refused. `says` is in its message."""

    limit: Any
    ask: dict[str, str | int]
    passes: int
    says: str
    kind: str
    quota: bool = False


TOKENS = {"input": 300, "output": 100}
PAID = {"input": 1000, "output": 750}  # 2.5 and 7.5 thousandths of a dollar
CASES = {
    "rps": Case(2, {}, 2, "limit 2 requests per second (rps), used 2.", "requests"),
    "rpm": Case(2, {}, 2, "limit 2 requests per minute (rpm), used 2.", "requests"),
    "input_tpm": Case(
        700, TOKENS, 2, "limit 700 input tokens per minute (input_tpm), used 600, requested 300.", "tokens"
    ),
    "output_tpm": Case(
        200, TOKENS, 2, "limit 200 output tokens per minute (output_tpm), used 200, requested 100.", "tokens"
    ),
    "tpm": Case(1000, TOKENS, 2, "limit 1000 tokens per minute (tpm), used 800, requested 400.", "tokens"),
    "concurrency": Case(2, {}, 2, "limit 2 requests at the same time (concurrency), used 2.", "requests"),
    "daily_requests": Case(2, {}, 2, "limit 2 requests per day (daily_requests), used 2.", "", quota=True),
    "daily_tokens": Case(
        1000, TOKENS, 2, "limit 1000 tokens per day (daily_tokens), used 800, requested 400.", "", quota=True
    ),
    "daily_usd": Case(
        0.02, PAID, 2, "limit 0.02 US dollars per day (daily_usd), used 0.02, requested 0.01.", "", quota=True
    ),
    "monthly_requests": Case(2, {}, 2, "limit 2 requests per month (monthly_requests), used 2.", "", quota=True),
    "monthly_tokens": Case(
        1000, TOKENS, 2, "limit 1000 tokens per month (monthly_tokens), used 800, requested 400.", "", quota=True
    ),
    "monthly_usd": Case(
        {"limit": 0.01, "overage": {"ceiling": 0.02}},
        PAID,
        2,
        "limit 0.01 US dollars per month, 0.02 with overage (monthly_usd), used 0.02, requested 0.01.",
        "",
        quota=True,
    ),
}
PLANS: dict[str, dict[str, Any]] = {kind.replace("_", "-"): {kind: case.limit} for kind, case in CASES.items()} | {
    "scopes": {
        "rpm": 1000,
        "per": [
            {"by": ["key"], "rpm": 1},
            {"by": ["user", "model"], "daily_requests": 1},
            {"models": ["big"], "rps": 1},
        ],
    },
    "grant": {"monthly_tokens": 1000},
    "dear": {"monthly_usd": 0.01},
    "crowd": {"per": [{"by": ["user"], "rpm": 1}]},
    "soft": {
        "daily_tokens": {"soft": 300},
        "monthly_usd": {"limit": 0.005, "overage": {"ceiling": 1}, "soft": 0.0005},
    },
    "all": {"rpm": 5, "rps": 4, "tpm": 1000, "input_tpm": 700, "output_tpm": 500, "monthly_tokens": 900},
    "burst": {"tpm": {"limit": 1000, "burst": 500, "refill": "10m"}},
}
CALENDAR = ("daily", "monthly", "scopes", "grant", "dear", "soft", "all")


@pytest.fixture(scope="module")
def worker(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with limiting(tmp_path_factory.mktemp("w"), server, PLANS) as (running,):
        yield running


@pytest.fixture(autouse=True)
def known(valkey: Redis) -> None:
    know_sums(valkey, rows_of(PLANS, *(name for name in PLANS if name.startswith(CALENDAR))))


def refusal(worker: Worker, valkey: Redis, kind: str, **entries: str) -> Answer:
    """The first one, once all that passed has ended."""
    case = CASES[kind]
    tenant = kind.replace("_", "-")
    for number in range(case.passes):
        assert worker.ask(tenant, f"r{number}", **case.ask, **entries).is_ok
    if case.quota:
        charge(valkey, tenant, case)
    answer = worker.ask(tenant, "last", **case.ask, **entries)
    assert not answer.is_ok
    return answer


def charge(valkey: Redis, tenant: str, case: Case) -> None:
    """As the ledger does: what was reserved for each of them was used."""
    row = rows_of(PLANS, tenant)[tenant]
    applying = TenantLimits(tenant, row).applying("ci", "chat", "")
    (limit,) = applying.limits
    seconds, _ = valkey.time()  # type: ignore[misc]
    now_ms = seconds * 1000
    real = {"requests": 1, "tokens": 400, "usd": NANO // 100}[limit.kind.dimension]
    settled = [Settled(f"r{number}", EPOCH, now_ms, applying) for number in range(case.passes)]
    sums = [Sum(limit, limit.window_ms(now_ms)[0], case.passes * real, 1)]
    script, keys, arguments = settle_call(tenant, settled, sums, "g")
    valkey.eval(f"{script.text.rpartition('return')[0]}return 0", len(keys), *keys, *arguments)  # alerts are no text


@pytest.mark.parametrize("kind", sorted(CASES))
def test_openais_clients(worker: Worker, valkey: Redis, kind: str) -> None:
    answer, case = refusal(worker, valkey, kind), CASES[kind]
    error = answer.error
    assert case.says in error["message"]
    whose = f"for tenant '{kind.replace('_', '-')}': "
    wait_s = int(answer.headers["retry-after"])
    if case.quota:
        assert error["message"].startswith(f"Quota used up {whose}")
        found = MIDNIGHT.search(error["message"])
        assert found
        resets = dt.datetime.fromisoformat(found[1])
        assert abs((resets - dt.datetime.now(dt.UTC)).total_seconds() - wait_s) < 10
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
        assert answer.headers["x-should-retry"] == "false"
    else:
        assert error["message"].startswith(f"Rate limit reached {whose}")
        assert error["message"].endswith(f" Retry in {wait_s} s.")
        assert 1 <= wait_s <= 61
        assert (error["type"], error["code"]) == (case.kind, "rate_limit_exceeded")
        assert "x-should-retry" not in answer.headers
    assert answer.reserved is False


@pytest.mark.parametrize("kind", sorted(CASES))
def test_anthropics_clients(worker: Worker, valkey: Redis, kind: str) -> None:
    answer, case = refusal(worker, valkey, kind, surface="messages"), CASES[kind]
    assert (answer.body["type"], answer.body["request_id"]) == ("error", "last")
    assert case.says in answer.error["message"]
    assert answer.error["type"] == "rate_limit_error"
    code = "insufficient_quota" if case.quota else "rate_limit_exceeded"
    assert answer.error["details"] == {"error_code": code}
    assert answer.headers["x-headgate-error-source"] == "gateway"
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("kind", ["daily_tokens", "monthly_usd"])
def test_what_requests_under_way_hold_may_come_back(worker: Worker, kind: str) -> None:
    case, tenant = CASES[kind], kind.replace("_", "-")
    for number in range(case.passes):
        assert worker.ask(tenant, f"r{number}", **case.ask).is_ok
    answer = worker.ask(tenant, "last", **case.ask)
    assert case.says in answer.error["message"]
    assert (answer.error["code"], answer.headers["retry-after"]) == ("rate_limit_exceeded", "1")
    assert "x-should-retry" not in answer.headers


def test_a_refusal_by_a_counter_that_users_share_says_so(worker: Worker, valkey: Redis) -> None:
    """Who never asked before is not told that it did."""
    far = time.time() * 1000 + 10**8
    valkey.zadd("hg:{crowd}:users", {f"user-{number}": far for number in range(MOST_USERS)})
    assert worker.ask("crowd", "a", user="ann").is_ok
    answer = worker.ask("crowd", "b", user="bob")
    assert answer.error["message"].startswith(
        "Rate limit reached for tenant 'crowd', user 'bob': limit 1 requests per minute (rpm), used 1 by all users "
        "beyond the first 10000, who share a counter. Retry in "
    )


LONG = "bo'b\n\u202e" + 50 * "x"
SHOWN = "bo'b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}" + 33 * "x" + "…"


@pytest.mark.parametrize(
    ("whose", "first", "second"),
    [
        (", key 'ci'", {"key_id": "ci", "user": "a"}, {"key_id": "ci", "user": "b"}),
        (", model 'chat', user 'a'", {"key_id": "one", "user": "a"}, {"key_id": "two", "user": "a"}),
        (f", model 'chat', user '{SHOWN}'", {"key_id": "one", "user": LONG}, {"key_id": "two", "user": LONG}),
        (", model 'chat', no user", {"key_id": "one"}, {"key_id": "two"}),
        (", model 'big'", {"key_id": "one", "user": "a", "model": "big"}, {"key_id": "two", "model": "big"}),
    ],
)
def test_whose_limit(worker: Worker, whose: str, first: dict[str, str], second: dict[str, str]) -> None:
    assert worker.ask("scopes", "a", **first).is_ok
    message = worker.ask("scopes", "b", **second).error["message"]
    assert f" for tenant 'scopes'{whose}: limit 1 requests per " in message
    assert worker.ask("scopes", "c", key_id="three", user="another").is_ok


def test_answers_are_lowered_to_what_is_left(worker: Worker) -> None:
    assert worker.ask("grant", "a", input=100, output=300).max_tokens is None
    lowered = worker.ask("grant", "b", input=100, output=4096)
    assert (lowered.is_ok, lowered.max_tokens, lowered.reserved) == (True, "500", True)
    assert worker.ask("grant", "b", input=100, output=4096).max_tokens == "500"  # asked again
    assert not worker.ask("grant", "c", input=1, output=16).is_ok


def test_several_answers_share_what_is_left(worker: Worker) -> None:
    assert worker.ask("grant", "a", input=100, output=4096, times=3).max_tokens == "300"


def test_money_lowers_answers_too(worker: Worker) -> None:
    assert worker.ask("dear", "a", input=1000, output=4096).max_tokens == "750"


@pytest.mark.parametrize("surface", ["chat", "messages"])
def test_a_request_that_never_fits(worker: Worker, surface: str) -> None:
    answer = worker.ask("grant", "a", input=990, output=4096, surface=surface)
    assert answer.error["message"] == (
        "Request too large for tenant 'grant': it needs at least 1006 tokens, "
        "limit 1000 tokens per month (monthly_tokens)."
    )
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert "insufficient_quota" in answer.response.raw_body.decode()


def used_up(valkey: Redis, tenant: str, request_id: str, **values: int) -> None:
    """The request has ended, and this is what the ledger says of days and months."""
    applying = TenantLimits(tenant, rows_of(PLANS, tenant)[tenant]).applying("ci", "chat", "")
    now_ms = round(time.time() * 1000)
    sums = [Sum(one, one.window_ms(now_ms)[0], values[one.row.kind], 1) for one in applying.limits]
    script, keys, arguments = settle_call(tenant, [Settled(request_id, EPOCH, now_ms, applying)], sums, "g")
    valkey.eval(f"{script.text.rpartition('return')[0]}return 0", len(keys), *keys, *arguments)  # alerts are no text


def test_what_is_passed_is_said(worker: Worker, valkey: Redis) -> None:
    first = worker.ask("soft", "a", input=100, output=50)
    assert (first.all("x-headgate-warning"), first.all("x-headgate-overage")) == ([], [])
    used_up(valkey, "soft", "a", daily_tokens=350, monthly_usd=750_000)
    second = worker.ask("soft", "b", input=100, output=400)
    assert second.is_ok
    assert second.all("x-headgate-warning") == [  # without what this one may use
        "daily_tokens; used=350; soft=300",
        "monthly_usd; used=0.00075; soft=0.0005",
    ]
    assert second.all("x-headgate-overage") == []
    third = worker.ask("soft", "c", input=100, output=400)
    assert third.is_ok
    assert third.all("x-headgate-overage") == ["monthly_usd"]


def test_the_tightest_limits_are_shown_to_openais_clients(worker: Worker) -> None:
    headers = worker.ask("all", "a", input=200, output=100).headers
    shown = {name: value for name, value in headers.items() if name.startswith("x-ratelimit") and "reset" not in name}
    assert shown == {
        "x-ratelimit-limit-requests": "4",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "400",
    }
    assert headers["x-ratelimit-reset-requests"] in ("1s", "2s")
    assert re.fullmatch(r"(59|1m[01])s", headers["x-ratelimit-reset-tokens"])
    refused = worker.ask("all", "b", input=550, output=16)
    assert "(input_tpm)" in refused.error["message"]
    assert refused.headers["x-ratelimit-limit-tokens"] == "700"  # the limit that refused, not the tightest
    assert refused.headers["x-ratelimit-remaining-tokens"] == "500"


def test_the_tightest_limits_are_shown_to_anthropics_clients(worker: Worker) -> None:
    headers = worker.ask("all", "a", input=200, output=100, surface="messages").headers
    shown = {name.removeprefix("anthropic-ratelimit-"): value for name, value in headers.items()}
    resets = [shown.pop(name) for name in list(shown) if name.endswith("reset")]
    assert shown == {
        "requests-limit": "4",
        "requests-remaining": "3",
        "tokens-limit": "500",
        "tokens-remaining": "400",
        "input-tokens-limit": "700",
        "input-tokens-remaining": "500",
        "output-tokens-limit": "500",
        "output-tokens-remaining": "400",
    }
    now = dt.datetime.now(dt.UTC)
    assert len(resets) == 4
    assert all(-2 < (dt.datetime.fromisoformat(reset) - now).total_seconds() <= 63 for reset in resets)


def test_bursts_are_part_of_what_is_shown(worker: Worker) -> None:
    answer = worker.ask("burst", "a", input=1100, output=100)
    assert answer.headers["x-ratelimit-limit-tokens"] == "1500"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "300"
    assert "1000 tokens per minute, 500 more in a burst (tpm)" in worker.ask("burst", "b", input=900).error["message"]
