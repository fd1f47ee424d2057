"""What running requests hold may come back any moment: a request waits a little for it, and holds nothing."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from limiter_process import EPOCH, Worker, asked, know_sums, limiting, rows_of
from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.counters.settlement import Settled, settle_call
from ratelimit.waiting import MOST, MOST_PER_TENANT, PAUSES_S, Places
from tests.counters.valkey_server import ValkeyServer

PLANS: dict[str, Any] = {
    "slots": {"concurrency": 1},
    "tokens": {"daily_tokens": 1000},
    "used": {"daily_tokens": 1000},
    "requests": {"rps": 1},
}
ROWS = rows_of(PLANS, *PLANS)


@pytest.fixture(scope="module")
def worker(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with limiting(tmp_path_factory.mktemp("w"), server, PLANS) as (running,):
        yield running


@pytest.fixture(autouse=True)
def counters(valkey: Redis) -> Redis:
    know_sums(valkey, ROWS)
    return valkey


def calls(valkey: Redis) -> int:
    """How often a script was run."""
    found: Any = valkey.info("commandstats")
    return int(found.get("cmdstat_evalsha", {}).get("calls", 0))


def end(valkey: Redis, tenant: str, request_id: str) -> None:
    """As the ledger does at a request's end."""
    applying = TenantLimits(tenant, ROWS[tenant]).applying("ci", "chat", "")
    script, keys, arguments = settle_call(tenant, [Settled(request_id, EPOCH, 0, applying)], gateway="g")
    valkey.eval(script.text, len(keys), *keys, *arguments)


@pytest.mark.parametrize(
    ("tenant", "entries", "looks"),
    [
        ("slots", {}, 1 + len(PAUSES_S)),
        ("tokens", {"input": 10, "output": 990}, 1 + len(PAUSES_S)),
        ("tokens", {"input": 10_000}, 1),  # never
        ("requests", {}, 1),  # nothing that comes back
    ],
)
def test_how_often_is_asked(worker: Worker, valkey: Redis, tenant: str, entries: dict[str, int], looks: int) -> None:
    assert worker.ask(tenant, "a", input=500, output=500).is_ok
    before = calls(valkey)
    assert not worker.ask(tenant, "b", **entries).is_ok
    assert calls(valkey) - before == looks


def test_who_waits_gets_what_comes_back(worker: Worker, valkey: Redis) -> None:
    """However long a busy machine takes: who is refused in between asks again."""
    for number in range(20):
        assert worker.ask("slots", f"a{number}").is_ok
        before = calls(valkey)
        waiting = worker.call.future(asked("slots", f"b{number}"), timeout=10)
        while calls(valkey) == before:
            time.sleep(0.001)
        end(valkey, "slots", f"a{number}")
        answer = waiting.result()
        end(valkey, "slots", f"b{number}")
        if answer.overall_code == answer.OK:
            return
    pytest.fail("nobody was let in")


def test_who_leaves_takes_nothing(worker: Worker, valkey: Redis) -> None:
    assert worker.ask("slots", "a").is_ok
    before = calls(valkey)
    waiting = worker.call.future(asked("slots", "b"), timeout=10)
    while calls(valkey) == before:
        time.sleep(0.001)
    waiting.cancel()
    time.sleep(0.01)
    end(valkey, "slots", "a")
    time.sleep(2 * sum(PAUSES_S))
    assert not valkey.exists("hg:{slots}:open")
    assert worker.ask("slots", "c").is_ok


def test_so_many_wait_at_a_time() -> None:
    places = Places()
    tenants = [f"t{number}" for number in range(10)]
    taken = [tenant for tenant in tenants for _ in range(1000) if places.take(tenant)]
    assert [taken.count(tenant) for tenant in tenants[:3]] == [MOST_PER_TENANT, MOST - MOST_PER_TENANT, 0]
    places.leave("t0")
    assert places.take("t5")
    assert not places.take("t0")
    for tenant in [*taken[1:], "t5"]:
        places.leave(tenant)
    assert [places.take("t0") for _ in range(1000)].count(True) == MOST_PER_TENANT
