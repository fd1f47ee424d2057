"""The rate limit service as processes of its own: one reservation per request, whoever gets the call."""

from collections.abc import Iterator

import grpc
import pytest
from limiter_process import Answer, Worker, asked, limiting
from redis import Redis

from tests.counters.valkey_server import ValkeyServer

MANY = 1_000_000
PLANS = {
    "small": {"rpm": 3, "concurrency": 3},
    "windows": {"rpm": 3},
    "wide": {"rpm": MANY, "concurrency": MANY},
    "big-only": {"per": [{"models": ["big"], "rpm": 1}]},
}


@pytest.fixture(scope="module")
def workers(server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    with limiting(tmp_path_factory.mktemp("w"), server, PLANS, number=2) as running:
        yield running


def test_a_repeated_call_counts_once_whoever_gets_it(workers: list[Worker], valkey: Redis) -> None:
    """Envoy asks again after a reset: the answer is the same, and one request is one."""
    one, two = workers
    answers = [worker.ask("small", "a") for worker in (one, two, two, one)]
    assert all(answer.is_ok and answer.headers == answers[0].headers for answer in answers)
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "2"
    assert answers[0].reserved is True
    assert valkey.zcard("hg:{small}:open") == 1
    assert valkey.hget("hg:{small}:rpm", "sum") == "1"


def test_the_lease_is_the_models(workers: list[Worker], valkey: Redis) -> None:
    workers[0].ask("small", "a")
    ((_, ends),) = valkey.zrange("hg:{small}:open", 0, -1, withscores=True)  # type: ignore[misc]
    seconds, _ = valkey.time()  # type: ignore[misc]
    assert 145 < ends / 1000 - seconds <= 151  # two minutes and 30 s


def test_over_the_limit(workers: list[Worker], valkey: Redis) -> None:
    for request_id in "abc":
        assert workers[0].ask("small", request_id).is_ok
    answer = workers[1].ask("small", "d")
    assert not answer.is_ok
    assert answer.error["code"] == "rate_limit_exceeded"
    assert answer.reserved is False
    assert answer.response.dynamic_metadata.fields["answered"].bool_value
    assert valkey.zcard("hg:{small}:open") == 3
    assert workers[1].ask("small", "c").is_ok  # the third one's call, repeated


def test_nothing_to_give_back_is_nothing_to_settle(workers: list[Worker], valkey: Redis) -> None:
    assert workers[0].ask("windows", "a").reserved is False
    assert not valkey.exists("hg:{windows}:open")
    assert 0 < valkey.pttl("hg:{windows}:r:a") <= 90_000  # type: ignore[operator]


def test_without_limits_or_plan_there_is_no_round_trip(workers: list[Worker], valkey: Redis) -> None:
    ways: list[tuple[str, str]] = [("free", "chat"), ("small", ""), ("gone", "chat"), ("big-only", "chat")]
    answers = [workers[0].ask(tenant, "a", model=model) for tenant, model in ways]
    assert [(answer.is_ok, answer.reserved, answer.headers) for answer in answers] == [(True, False, {})] * 4
    assert not valkey.keys("hg:{*")
    assert workers[0].ask("big-only", "a", model="big").headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize("wrong", [{"request_id": ""}, {"tenant": ""}, {"input": "many"}, {"output": "-1"}])
def test_a_call_that_makes_no_sense_is_an_error_and_not_a_pass(workers: list[Worker], wrong: dict[str, str]) -> None:
    with pytest.raises(grpc.RpcError):
        workers[0].ask(**{"tenant": "small", "request_id": "a", **wrong})


def test_many_at_once(workers: list[Worker], valkey: Redis) -> None:
    calls = []
    for number in range(400):
        request = asked("wide", f"r{number}")
        calls += [worker.call.future(request, timeout=20) for worker in workers]
    assert all(Answer(call.result()).is_ok for call in calls)
    assert valkey.zcard("hg:{wide}:open") == 400
    assert valkey.hget("hg:{wide}:rpm", "sum") == "400"
