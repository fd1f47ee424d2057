"""What comes of attempts: the workers know of it within moments, and people find it in the ledger's log."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from limited import Limited, ask, limited, until
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, UPSTREAM_MODEL, chat
from upstreams import Engine, refused_address

from headgate.feed.states import State, TargetStates
from tests.feed.ends import listening


@pytest.fixture(scope="module")
def setup(engine: Engine) -> Iterator[Limited]:
    found = limited(engine, {})
    with refused_address() as dead:
        found.config["providers"]["dead"] = {"api": "openai", "endpoints": [f"http://{dead}"]}
        found.config["models"]["dead"] = {"targets": [{"provider": "dead", "model": "m"}], "max_attempts": 1}
        found.config["models"]["chat"]["timeouts"] = {"total": "2s"}
        for tenant in found.config["tenants"].values():
            tenant["models"] = ["chat", "dead"]
        yield found


@pytest.fixture(scope="module")
def fed(setup: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("fed"), setup.config, {}) as gateway:
        yield gateway


@asynccontextmanager
async def worker(gateway: RunningGateway) -> AsyncIterator[TargetStates]:
    """Hears what the gateway's own workers hear."""
    name = (gateway.state / "gateway-id").read_text().strip()
    async with listening(f"unix://{gateway.state}/run/counters.sock", name) as states:
        yield states


def told(gateway: RunningGateway, event: str) -> dict[str, dict[str, Any]]:
    """The ledger's log lines that say so, by request."""
    lines = [json.loads(text) for text in (gateway.state / "log/ledger.log").read_text().splitlines()]
    return {line["request_id"]: line for line in lines if line["event"] == event}


async def test_a_429_rests_its_model_and_a_dead_ledger_forgets_no_rest(fed: RunningGateway, setup: Limited) -> None:
    local = fed.cluster("local")
    async with worker(fed) as states:
        assert states.of(local, UPSTREAM_MODEL) is State.OK
        reply = await asyncio.to_thread(ask, fed, setup.keys["free"], status=429, retry_after=60)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "60")
        assert "x-headgate-tried-model" not in reply.headers
        await until(lambda: states.of(local, UPSTREAM_MODEL) is State.RESTED)
        assert states.of(local, "another") is State.OK
        assert states.of(fed.cluster("dead"), UPSTREAM_MODEL) is State.OK
    (pid,) = fed.pids("ledger").values()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: fed.pids("ledger") and [*fed.pids("ledger").values()] != [pid])
    async with worker(fed) as states:
        await until(lambda: states.of(local, UPSTREAM_MODEL) is State.RESTED)


@pytest.mark.parametrize(
    ("simulate", "status", "attempt"),
    [
        ({"status": 503}, 503, {"target": "local", "kind": "5xx", "status": 503}),
        ({"status": 401}, 401, {"target": "local", "kind": "4xx", "status": 401}),
        ({"cut_after": "before_headers"}, 503, {"target": "local", "kind": "reset"}),
        ({"silence": "before_headers"}, 504, {"target": "local", "kind": "timeout"}),
    ],
)
async def test_a_request_that_its_provider_failed_is_told_of(
    fed: RunningGateway, setup: Limited, simulate: dict[str, Any], status: int, attempt: dict[str, Any]
) -> None:
    reply = await asyncio.to_thread(ask, fed, setup.keys["free"], **simulate)
    assert reply.status_code == status
    request_id = reply.headers["x-request-id"]
    await until(lambda: request_id in told(fed, "request failed"))
    line = told(fed, "request failed")[request_id]
    assert (line["tenant"], line["model"], line["status"], line["attempts"]) == ("free", "chat", status, 1)
    (only,) = line["failed_attempts"]
    assert only.pop("duration_ms") >= 0
    assert only == attempt


async def test_a_refused_connection_is_told_of_with_its_reason(fed: RunningGateway, setup: Limited) -> None:
    reply = await asyncio.to_thread(fed.post, CHAT, chat("dead"), setup.keys["free"])
    request_id = reply.headers["x-request-id"]
    await until(lambda: request_id in told(fed, "request failed"))
    (attempt,) = told(fed, "request failed")[request_id]["failed_attempts"]
    assert (attempt["target"], attempt["kind"]) == ("dead", "connect")
    assert "refused" in attempt["reason"]
    await until(lambda: 'headgate_attempt_failures_total{kind="connect",provider="dead"}' in metrics(fed))


async def test_a_request_that_went_well_leaves_no_line(fed: RunningGateway, setup: Limited) -> None:
    reply = await asyncio.to_thread(ask, fed, setup.keys["free"])
    assert reply.status_code == 200
    later = await asyncio.to_thread(ask, fed, setup.keys["free"], status=500)
    (lines,) = (fed.state / "spool").glob("*.attempts")
    await until(lambda: later.headers["x-request-id"] in lines.read_text())
    assert reply.headers["x-request-id"] not in lines.read_text()


def metrics(gateway: RunningGateway) -> str:
    return httpx2.get(f"http://{gateway.admin_address}/metrics").text


async def test_what_is_no_http_is_counted_and_no_garbage(fed: RunningGateway) -> None:
    """Envoy's own lines about requests that never were one have no id."""
    host, port = fed.http.split(":")
    for junk in (b"NO HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as peer:
            peer.sendall(junk)
            assert b" 400 " in peer.recv(4096)
    await until(lambda: _lines_without_a_request(fed.state / "spool") == 2)
    refused = 'headgate_requests_total{model="",provider="",status="400",tenant=""} 2.0'
    await until(lambda: refused in metrics(fed))
    assert 'type="garbage"' not in metrics(fed)
    assert "spool lines that are none" not in (fed.state / "log/ledger.log").read_text()


def _lines_without_a_request(spool: Path) -> int:
    lines = [json.loads(text) for path in spool.glob("*.ndjson") for text in path.read_text().splitlines()]
    return sum(line["request_id"] is None and line["type"] == "end" for line in lines)


async def test_all_workers_hear_it(fed: RunningGateway) -> None:
    """The metric is the time at which the one that has waited the longest has heard of it."""

    def when(series: str) -> float:
        found = [line.rpartition(" ")[2] for line in metrics(fed).splitlines() if line.startswith(f"{series} ")]
        return float(found[0]) if found else 0

    sent, heard = "headgate_feed_sent_timestamp_seconds", 'headgate_feed_heard_timestamp_seconds{what="targets"}'
    await until(lambda: when(sent))
    began = when(sent)
    await until(lambda: when(heard) > began)


def test_every_gateway_has_a_name_that_stays(fed: RunningGateway) -> None:
    path = fed.state / "gateway-id"
    assert path.stat().st_mode & 0o777 == 0o600
    for pid in [*fed.pids("ledger").values(), *fed.pids("filters-").values()]:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert b"HEADGATE_GATEWAY_ID=" + path.read_bytes().strip() in environ
