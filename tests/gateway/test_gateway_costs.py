"""What a request costs, in counts that are the same on every machine: calls, messages, bytes, commands.

A count that rises is a request that has become dearer. Whoever means it to says why in docs/performance.md.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

import pytest
from limited import ask, counters_of, limited
from running_gateway import RunningGateway, running_gateway
from upstreams import Engine

REQUESTS = 40
PLANS = {
    "acme": {"rpm": 10**6, "concurrency": 10**4},
    "globex": {"rpm": 10**6, "concurrency": 10**4, "tpm": 10**9, "monthly_tokens": 10**12},
}
_CALLS = "cluster.headgate/filters."
# Those that the scripts of limits need for each request, whether or not a window's next bucket begins with it.
_COMMANDS = ("hmget", "hset", "hincrby", "zadd", "zcount", "zrem", "set")


@dataclass(frozen=True)
class Costs:
    """Of all requests so far. Bytes are those between Envoy and the workers, HTTP/2's own included."""

    calls: float
    asked_bytes: float
    answered_bytes: float
    planned: float  # streams of the plan's filter
    plan_messages: float
    scripts: float  # that the counters have run
    commands: float  # by which these read and write
    lines: float
    line_bytes: float

    def per_request(self, before: "Costs", requests: int) -> "Costs":
        return Costs(
            *((getattr(self, one.name) - getattr(before, one.name)) / requests for one in fields(Costs)),
        )


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, keys: dict[str, str]
) -> Iterator[RunningGateway]:
    made = limited(engine, PLANS)
    keys |= made.keys
    with running_gateway(tmp_path_factory.mktemp("costs"), made.config, {}) as running:
        yield running


def costs_of(gateway: RunningGateway) -> Costs:
    found = json.loads(gateway.admin("/stats?format=json"))["stats"]
    stats = {one["name"]: one["value"] for one in found if "name" in one}
    with counters_of(gateway) as counters:
        commands = counters.info("commandstats")
    scripts = sum(commands.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))
    asked = sum(commands.get(f"cmdstat_{name}", {}).get("calls", 0) for name in _COMMANDS)
    files = [file.read_bytes() for file in (gateway.state / "spool").glob("*.ndjson") if "attempts" not in file.name]
    return Costs(
        calls=stats[f"{_CALLS}upstream_rq_total"],
        asked_bytes=stats[f"{_CALLS}upstream_cx_tx_bytes_total"],
        answered_bytes=stats[f"{_CALLS}upstream_cx_rx_bytes_total"],
        planned=stats["http.edge.ext_proc.streams_started"],
        plan_messages=stats["http.edge.ext_proc.stream_msgs_sent"] + stats["http.edge.ext_proc.stream_msgs_received"],
        scripts=scripts,
        commands=asked,
        lines=sum(text.count(b"\n") for text in files),
        line_bytes=sum(map(len, files)),
    )


def test_envoys_allocator_has_caches_for_each_core(gateway: RunningGateway) -> None:
    """Each of a request's thousand allocations is dearer without. `MALLOC: + 297536 (0.3 MiB) Bytes in …`"""
    found = re.search(rb"(\d+) \([^)]*\) Bytes in per-CPU cache freelist", gateway.admin("/memory/tcmalloc"))
    assert found
    assert int(found[1]) > 0


def cost_of(gateway: RunningGateway, key: str, requests: int = REQUESTS) -> Costs:
    for _ in range(4):  # connections are there, and whatever is made once
        assert ask(gateway, key).status_code == 200
    gateway.end_line(ask(gateway, key).headers["x-request-id"])
    before = costs_of(gateway)
    for _ in range(requests - 1):
        assert ask(gateway, key).status_code == 200
    gateway.end_line(ask(gateway, key).headers["x-request-id"])
    return costs_of(gateway).per_request(before, requests)


# A call for authorization, and one for the plan and its reservation: a stream of two messages there and two back. For
# a tenant with limits two scripts run, one that reserves and one that settles; the ledger may settle several at once.
MOST = {
    "acme": Costs(2, 1_160, 1_160, 1, 4, 2.1, 10.5, 2, 1_850),
    "globex": Costs(2, 1_160, 1_340, 1, 4, 2.1, 20.5, 2, 1_850),
    "free": Costs(2, 1_160, 1_040, 1, 4, 0.2, 0.5, 2, 1_850),
}


@pytest.mark.parametrize("tenant", MOST)
def test_a_request_costs_no_more_than_it_did(gateway: RunningGateway, keys: dict[str, str], tenant: str) -> None:
    found = cost_of(gateway, keys[tenant])
    over = {name: value for name, value in asdict(found).items() if value > getattr(MOST[tenant], name)}
    assert not over, (found, MOST[tenant])
    assert (found.calls, found.lines) == (2, 2), found


def test_a_refused_request_is_not_planned(gateway: RunningGateway) -> None:
    few = 4  # bad keys are answered later and later
    before = costs_of(gateway)
    for _ in range(few):
        assert ask(gateway, "hg-nobody").status_code == 401
    found = costs_of(gateway).per_request(before, few)
    assert (found.calls, found.planned, found.plan_messages) == (1, 0, 0), found
