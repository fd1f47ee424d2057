"""Hedging on a real Envoy: who answers, who is cut off, what is recorded. Attempts are told apart by arrival."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from limited import until
from provider_answers import USAGE, Asked, events
from replicas import Replicas, replicas
from running_gateway import RunningGateway, running_gateway
from wire import Reply, ask, post

WAYS = (
    "ok+ok",
    "silent+ok",
    "late_ok+silent",
    "late_ok+ok",
    "begins+ok",
    "head+ok",
    "token+ok",
    "503+ok",
    "reset+ok",
    "late_503+ok",
    "late_reset+ok",
    "silent+400",
    "late_503+503",
    "late_503+silent",
    "silent+silent",
)
KEY = f"hg-{token_urlsafe(32)}"


@dataclass(frozen=True)
class Hedging:
    gateway: RunningGateway
    stage: Replicas

    async def ask(self, way: str, *, stream: bool = True, **headers: str) -> Reply:
        body: dict[str, Any] = {"model": name_of(way), "messages": [{"role": "user", "content": "x"}]}
        fields = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return await ask(self.gateway.http, post("/v1/chat/completions", json.dumps(body).encode(), fields))

    def metric(self, series: str) -> float:
        text = httpx2.get(f"http://{self.gateway.admin_address}/metrics").text
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{series} ")]
        return float(found[0]) if found else 0


def name_of(way: str) -> str:
    return way.replace("+", "--")


@contextmanager
def configured(folder: Path) -> Iterator[Hedging]:
    with replicas("one", "two") as stage:
        models = {
            name_of(way): {
                "targets": [{"provider": "pool", "model": way}],
                "hedge": "300ms",
                "timeouts": {"idle": "3s", "total": "30s"},
            }
            for way in WAYS
        }
        config = {
            "providers": {"pool": {"api": "openai", "endpoints": [f"http://{one}" for one in stage.addresses]}},
            "models": models,
            "tenants": {
                "acme": {
                    "models": list(models),
                    "keys": [{"name": "only", "sha256": sha256(KEY.encode()).hexdigest()}],
                }
            },
        }
        with running_gateway(folder, config, {}) as gateway:
            yield Hedging(gateway, stage)


@pytest.fixture(scope="module")
def hedging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hedging]:
    with configured(tmp_path_factory.mktemp("hedging")) as running:
        yield running


def as_sent(way: str, name: str) -> bytes:
    """What a replica sends as its answer."""
    return b"".join(events(Asked("openai", name, way, stream=True, usage=True)))


@pytest.mark.parametrize(
    ("way", "attempts", "winner"),
    [
        ("ok+ok", 1, 1),
        ("silent+ok", 2, 2),
        ("late_ok+silent", 2, 1),
        ("begins+ok", 1, 1),
        ("head+ok", 2, 2),
        ("503+ok", 2, 2),
        ("reset+ok", 2, 2),
        ("late_503+ok", 2, 2),
        ("late_reset+ok", 2, 2),
    ],
)
async def test_the_first_answer_wins_byte_for_byte(hedging: Hedging, way: str, attempts: int, winner: int) -> None:
    """An attempt that has begun to answer is joined by no other, one that has sent no more than a head is."""
    reply = await hedging.ask(way)
    seen = hedging.stage.of(reply.request_id)
    assert (reply.status, reply.whole) == (200, True)
    assert len(seen.reached) == attempts
    assert len(set(seen.reached)) == attempts  # another replica each time
    assert reply.body == as_sent(way, seen.reached[winner - 1])
    assert reply.headers["x-headgate-attempts"] == str(attempts)
    first, *others = seen.received
    assert all((one.target, one.headers, one.body) == (first.target, first.headers, first.body) for one in others)
    line = await asyncio.to_thread(hedging.gateway.end_line, reply.request_id)
    assert (line["attempts"], line["prompt_tokens"], line["completion_tokens"]) == (attempts, *USAGE)
    assert [one["type"] for one in hedging.gateway.spool.of(reply.request_id)].count("end") == 1


@pytest.mark.parametrize(("way", "loser"), [("silent+ok", 1), ("late_ok+silent", 2), ("head+ok", 1)])
async def test_the_slower_one_is_cut_off_and_counts_as_no_failure(hedging: Hedging, way: str, loser: int) -> None:
    hedged, failed = 'headgate_hedged_attempts_total{provider="pool"}', "headgate_attempt_failures_total"
    before = hedging.metric(hedged)
    timeouts = hedging.metric(f'{failed}{{kind="timeout",provider="pool"}}')
    reply = await hedging.ask(way)
    assert await asyncio.to_thread(hedging.stage.wait_for_cut, reply.request_id, loser)
    await until(lambda: hedging.metric(hedged) == before + 1)
    assert hedging.metric(f'{failed}{{kind="timeout",provider="pool"}}') == timeouts
    (told,) = [line for line in told_of(hedging.gateway, reply.request_id) if line["event"] == "request was retried"]
    assert [attempt["kind"] for attempt in told["failed_attempts"]] == ["hedged"]


async def test_two_that_answer_at_once_are_one_answer(hedging: Hedging) -> None:
    for _ in range(20):
        reply = await hedging.ask("late_ok+ok")
        seen = hedging.stage.of(reply.request_id)
        assert (reply.status, reply.whole) == (200, True)
        assert reply.body in [as_sent("late_ok+ok", name) for name in seen.reached]
        line = await asyncio.to_thread(hedging.gateway.end_line, reply.request_id)
        assert (line["attempts"], line["completion_tokens"]) == (2, USAGE[1])


@pytest.mark.parametrize(
    ("way", "status", "cut"),
    [
        ("silent+silent", 504, [1, 2]),
        ("late_503+silent", 504, [2]),
        ("late_503+503", 503, []),
        ("silent+400", 400, [1]),
    ],
)
async def test_when_all_fail_there_is_one_error(hedging: Hedging, way: str, status: int, cut: list[int]) -> None:
    """A client's own mistake is no failure: the answer that says so is the request's."""
    reply = await hedging.ask(way)
    assert reply.status == status
    assert reply.json["error"]["message"]
    assert (reply.headers["x-headgate-attempts"], reply.headers["x-headgate-error-source"]) == ("2", "provider")
    for number in cut:
        assert await asyncio.to_thread(hedging.stage.wait_for_cut, reply.request_id, number)
    line = await asyncio.to_thread(hedging.gateway.end_line, reply.request_id)
    assert (line["status"], line["attempts"], line["completion_tokens"]) == (status, 2, None)


async def test_a_stream_that_stops_ends_after_the_idle_time(hedging: Hedging) -> None:
    reply = await hedging.ask("token+ok")
    assert (reply.status, reply.whole) == (200, False)
    assert hedging.stage.of(reply.request_id).reached
    assert await asyncio.to_thread(hedging.stage.wait_for_cut, reply.request_id, 1)


async def test_what_is_not_hedged(hedging: Hedging) -> None:
    """Answers that come whole, requests without a fallback: one attempt, however slow."""
    reply = await hedging.ask("silent+ok", x_headgate_fallback="off")
    assert reply.status == 504
    assert await asyncio.to_thread(hedging.stage.wait_for_cut, reply.request_id, 1)
    assert len(hedging.stage.of(reply.request_id).reached) == 1
    reply = await hedging.ask("begins+ok", stream=False)
    assert len(hedging.stage.of(reply.request_id).reached) == 1


async def test_a_client_that_leaves_cuts_off_both(hedging: Hedging) -> None:
    asking = asyncio.create_task(hedging.ask("silent+silent", traceparent="00-" + "5" * 32 + "-" + "6" * 16 + "-01"))

    def waiting() -> list[str]:
        lines = hedging.gateway.spool.all()
        return [one["request_id"] for one in lines if one["type"] == "start" and not ended(one["request_id"])]

    def ended(request_id: str) -> bool:
        return any(one["type"] == "end" for one in hedging.gateway.spool.of(request_id))

    await until(lambda: len(waiting()) == 2)
    request_id = waiting()[0]
    asking.cancel()
    for number in (1, 2):
        assert await asyncio.to_thread(hedging.stage.wait_for_cut, request_id, number)
    line = await asyncio.to_thread(hedging.gateway.end_line, request_id)
    assert (line["status"], line["attempts"]) == (0, 2)
    assert "DC" in line["flags"]


def told_of(gateway: RunningGateway, request_id: str) -> list[dict[str, Any]]:
    lines = [json.loads(text) for text in (gateway.state / "log/ledger.log").read_text().splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]
