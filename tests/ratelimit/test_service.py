"""The rate limit service as processes of its own, asked as Envoy asks it."""

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from redis import Redis

from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from tests.counters.valkey_server import ValkeyServer, valkey_server

HEADGATE = str(Path(sys.executable).with_name("headgate"))
METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
MANY = 1_000_000
PLANS = {"small": {"rpm": 3, "concurrency": 3}, "windows": {"rpm": 3}, "wide": {"rpm": MANY, "concurrency": MANY}}


class Worker:
    """One `headgate serve ratelimit`."""

    def __init__(self, folder: Path, number: int, config: Path) -> None:
        socket = folder / f"w{number}.sock"
        self._log = (folder / f"w{number}.log").open("ab")
        self.process = subprocess.Popen(
            [HEADGATE, "serve", "ratelimit", "-c", str(config), "--address", f"unix:{socket}"],
            env=os.environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._channel = grpc.insecure_channel(f"unix:{socket}")
        self.call = self._channel.unary_unary(
            METHOD,
            request_serializer=RateLimitRequest.SerializeToString,
            response_deserializer=RateLimitResponse.FromString,
        )
        grpc.channel_ready_future(self._channel).result(timeout=30)

    def ask(self, request_id: str = "", **entries: str) -> RateLimitResponse:
        request = RateLimitRequest(domain="20260101T000000-aaaaaa")
        descriptor = request.descriptors.add()
        for key, value in {"tenant": "small", "model": "chat", "request_id": request_id, **entries}.items():
            if value:
                descriptor.entries.add(key=key, value=value)
        answer: RateLimitResponse = self.call(request, timeout=10)
        return answer

    def close(self) -> None:
        self._channel.close()
        self.process.terminate()
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self._log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("v")) as running:
        yield running


@pytest.fixture
def valkey(server: ValkeyServer) -> Iterator[Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def workers(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    folder = tmp_path_factory.mktemp("w")
    config = {
        "providers": {"p": {"api": "openai", "endpoints": ["http://127.0.0.1:9"]}},
        "models": {"chat": {"targets": [{"provider": "p", "model": "m"}], "timeouts": {"total": "2m"}}},
        "plans": PLANS,
        "tenants": {name: {"plan": name, "models": ["chat"]} for name in PLANS} | {"free": {"models": ["chat"]}},
        "services": {"counters": f"unix://{server.socket}"},
    }
    (folder / "gateway.yaml").write_text(json.dumps(config))
    running = [Worker(folder, number, folder / "gateway.yaml") for number in range(2)]
    yield running
    for worker in running:
        worker.close()


def header(answer: RateLimitResponse, name: str) -> str | None:
    return next((entry.value for entry in answer.response_headers_to_add if entry.key == name), None)


def reserved(answer: RateLimitResponse) -> bool | None:
    fields = answer.dynamic_metadata.fields
    return fields["reserved"].bool_value if "reserved" in fields else None


def test_a_repeated_call_counts_once_whoever_gets_it(workers: list[Worker], valkey: Redis) -> None:
    """Envoy asks again after a reset: the answer is the same, and one request is one."""
    one, two = workers
    answers = [worker.ask("a") for worker in (one, two, two, one)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].overall_code == RateLimitResponse.OK
    assert header(answers[0], "x-ratelimit-remaining-requests") == "2"
    assert reserved(answers[0]) is True
    assert valkey.zcard("hg:{small}:open") == 1
    assert valkey.hget("hg:{small}:rpm", "sum") == "1"


def test_the_lease_is_the_models(workers: list[Worker], valkey: Redis) -> None:
    workers[0].ask("a")
    ((_, ends),) = valkey.zrange("hg:{small}:open", 0, -1, withscores=True)  # type: ignore[misc]
    assert 145 < ends / 1000 - time.time() <= 150  # two minutes and 30 s


def test_over_the_limit(workers: list[Worker], valkey: Redis) -> None:
    for request_id in "abc":
        assert workers[0].ask(request_id).overall_code == RateLimitResponse.OK
    answer = workers[1].ask("d")
    assert answer.overall_code == RateLimitResponse.OVER_LIMIT
    assert json.loads(answer.raw_body)["error"]["code"] == "rate_limit_exceeded"
    assert reserved(answer) is False
    assert answer.dynamic_metadata.fields["answered"].bool_value
    assert valkey.zcard("hg:{small}:open") == 3
    assert workers[1].ask("c").overall_code == RateLimitResponse.OK  # the third one's call, repeated


def test_anthropics_clients_read_their_own_headers_and_errors(workers: list[Worker], valkey: Redis) -> None:
    for surface, left in (("messages", "2"), ("count_tokens", "1"), ("messages", "0")):
        answer = workers[0].ask(left, surface=surface)
        assert header(answer, "anthropic-ratelimit-requests-limit") == "3"
        assert header(answer, "anthropic-ratelimit-requests-remaining") == left
        reset = dt.datetime.fromisoformat(header(answer, "anthropic-ratelimit-requests-reset") or "")
        assert 50 < (reset - dt.datetime.now(dt.UTC)).total_seconds() <= 62
        assert header(answer, "x-ratelimit-limit-requests") is None
    refused = workers[0].ask("d", surface="messages")
    answered = json.loads(refused.raw_body)
    assert (answered["type"], answered["request_id"]) == ("error", "d")
    assert answered["error"]["type"] == "rate_limit_error"
    assert answered["error"]["details"] == {"error_code": "rate_limit_exceeded"}
    assert header(refused, "anthropic-ratelimit-requests-remaining") == "0"
    assert int(header(refused, "retry-after") or "") >= 1
    as_before = json.loads(workers[0].ask("e", surface="chat").raw_body)["error"]
    assert (as_before["type"], as_before["code"]) == ("requests", "rate_limit_exceeded")
    assert as_before["message"].partition("Retry")[0] == answered["error"]["message"].partition("Retry")[0]


def test_nothing_to_give_back_is_nothing_to_settle(workers: list[Worker], valkey: Redis) -> None:
    assert reserved(workers[0].ask("a", tenant="windows")) is False
    assert not valkey.exists("hg:{windows}:open")
    assert 0 < valkey.pttl("hg:{windows}:r:a") <= 30_000  # type: ignore[operator]


def test_without_limits_or_plan_there_is_no_round_trip(workers: list[Worker], valkey: Redis) -> None:
    answers = [workers[0].ask("a", tenant="free"), workers[0].ask("a", model=""), workers[0].ask("a", tenant="gone")]
    assert {answer.overall_code for answer in answers} == {RateLimitResponse.OK}
    assert [reserved(answer) for answer in answers] == [False] * 3
    assert not valkey.keys("hg:{*")


def test_a_call_that_says_too_little_is_an_error_and_not_a_pass(workers: list[Worker]) -> None:
    for missing in ({"tenant": ""}, {"request_id": ""}):
        with pytest.raises(grpc.RpcError):
            workers[0].ask(**{"request_id": "a", **missing})


def test_many_at_once(workers: list[Worker], valkey: Redis) -> None:
    request = RateLimitRequest(domain="e")
    calls = []
    for number in range(400):
        request = RateLimitRequest(domain="e")
        entries = request.descriptors.add().entries
        for key, value in {"tenant": "wide", "model": "chat", "request_id": f"r{number}"}.items():
            entries.add(key=key, value=value)
        calls += [worker.call.future(request, timeout=20) for worker in workers]
    assert {call.result().overall_code for call in calls} == {RateLimitResponse.OK}
    assert valkey.zcard("hg:{wide}:open") == 400
    assert valkey.hget("hg:{wide}:rpm", "sum") == "400"
