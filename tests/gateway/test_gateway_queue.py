"""Requests wait where their engine is full: by class and in turns, for as long as they would, and nothing is lost."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from limited import counters_of, metric, until
from queued import Queued, queued
from redis import Redis
from running_gateway import running_gateway
from upstreams import Engine, simulator

from headgate.counters.queue import QUEUE_CHANNEL, Notice, read_notice
from tests.feed.replica_news import wait_for_states
from tests.stopped import stop

TARGET = "x-headgate-target"


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory, other_engine: Engine) -> Iterator[Queued]:
    folder = tmp_path_factory.mktemp("queue")
    with simulator(folder, "queued-engine") as engine:
        config, keys = queued(engine, other_engine)
        with running_gateway(folder, config, {}) as gateway:
            wait_for_states(gateway.state, gateway.cluster("llama"), {engine.address: "ready"})
            yield Queued(gateway, keys, engine)


async def test_one_that_finds_a_slot_says_nothing_of_a_queue(queue: Queued) -> None:
    reply = await queue.ask()
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith(("x-headgate-queue", "x-headgate-predicted"))]
    await queue.is_empty()


async def test_requests_wait_by_class_and_tenants_take_turns(queue: Queued) -> None:
    tenants = ["acme"] * 4 + ["globex"] * 4 + ["batch"] * 2 + ["urgent"] * 2
    async with queue.full():
        tasks = await queue.fill(*tenants)
    served = [tenants[number] for number in await queue.order(tasks)]
    assert served[:2] == ["urgent"] * 2
    assert Counter(served[2:8]) == {"acme": 2, "globex": 4}, "globex has two shares"
    assert served[8:] == ["batch", "acme", "acme", "batch"], (
        "after eight that went before it, one of a class has its turn"
    )
    await queue.is_empty()


async def test_who_waited_is_told_where_it_stood(queue: Queued) -> None:
    await queue.ask(ttft_s=0.2)  # how long a slot is held is known from here on
    async with queue.full(expects=True):
        tasks = await queue.fill("acme", "globex")
    first, second = await asyncio.gather(*tasks)
    assert first.headers["x-headgate-queue-position"] == "1"
    assert second.headers["x-headgate-queue-position"] == "2"
    assert (
        int(second.headers["x-headgate-predicted-start-ms"])
        >= 2 * int(first.headers["x-headgate-predicted-start-ms"]) - 1
    )
    assert metric(queue.gateway, 'headgate_engine_queue_requests_total{model="chat",outcome="waited"') >= 2
    assert metric(queue.gateway, 'headgate_engine_queue_wait_seconds_count{model="chat"}') >= 2
    await queue.is_empty()


async def test_an_engine_that_nobody_asks_for_is_said_to_be_full_for_as_long_as_it_is(queue: Queued) -> None:
    """So that requests with another target do not try it again and again."""
    async with queue.full():
        said = await asyncio.to_thread(notices, queue, 3)
        assert said == [Notice("llama", is_full=True, called=())] * 3
        slots = {"slots": 1, "slots_held": 1, "slots_waited_for": 0, "full": 1}
        assert {name: metric(queue.gateway, f'headgate_engine_{name}{{engine="llama"') for name in slots} == slots
    await queue.is_empty()
    await until(lambda: not metric(queue.gateway, 'headgate_engine_full{engine="llama"'))


def notices(queue: Queued, count: int) -> list[Notice | None]:
    """The next ones that are said; nobody may be for long."""
    path, found = str(queue.gateway.state / "run/counters.sock"), []
    with Redis(unix_socket_path=path) as valkey, valkey.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(QUEUE_CHANNEL)
        assert listener.get_message(timeout=10) is None, "that it has subscribed"
        while len(found) < count:
            message = listener.get_message(timeout=10)
            assert message
            found.append(read_notice(message["data"]))
    return found


async def test_a_full_queue_refuses_in_the_clients_shape_and_gives_back_what_was_reserved(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill("counted", "counted", model="short")
        refused = await queue.ask("counted", "short")
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "engine_queue_full"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-headgate-error-source"] == "gateway"
        assert refused.headers["x-headgate-queue-position"] == "3"
        with counters_of(queue.gateway) as valkey:
            assert valkey.zcard("hg:{counted}:open") == 2
            assert valkey.zcard("hg:{counted}:concurrency") == 2
        line = queue.gateway.end_line(refused.headers["x-request-id"])
        assert (line["status"], line["reserved"]) == (503, False)
        assert not line["attempts"]
        other = queue.starts("urgent", "short")  # whose turn comes before the second one's
        out = await tasks[1]
        assert out.json()["error"]["code"] == "engine_queue_full"
    assert [reply.status_code for reply in await asyncio.gather(tasks[0], other)] == [200, 200]
    await queue.is_empty()
    with counters_of(queue.gateway) as valkey:
        await until(lambda: not valkey.zcard("hg:{counted}:open"))


async def test_who_waits_for_more_than_ten_seconds_is_answered(queue: Queued) -> None:
    """What Envoy gives a try of a call to a worker where nobody says otherwise."""
    left = ended(queue, "left")
    async with queue.full():
        (waiting,) = await queue.fill("acme")
        await asyncio.wait({waiting}, timeout=10.5)
    reply = await waiting
    assert (reply.status_code, reply.headers["x-headgate-queue-position"]) == (200, "1")
    await queue.is_empty()
    assert ended(queue, "left") == left, "its client has not gone"


async def test_a_turn_that_does_not_come_in_time(queue: Queued) -> None:
    async with queue.full():
        refused = await queue.ask("counted", "hasty")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "engine_queue_timeout"
    assert "x-headgate-queue-position" in refused.headers
    assert int(refused.headers["retry-after"]) >= 2, (
        "nobody knows better than that it has waited for longer than a second"
    )
    await queue.is_empty()


async def test_a_turn_that_would_come_after_the_client_has_gone(queue: Queued) -> None:
    for _ in range(3):
        await queue.ask(ttft_s=1.0)
    async with queue.full(expects=True):
        for name in ("x-stainless-read-timeout", "x-stainless-timeout"):
            refused = await queue.ask(headers={name: "0.1"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_queue_timeout")
            assert refused.headers["x-headgate-queue-position"] == "1", "where it would have stood"
            assert 100 < int(refused.headers["x-headgate-predicted-start-ms"]) < 5000
        assert not queue.waiting()
    await queue.is_empty()


async def test_a_client_that_leaves_makes_room_at_once(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill("acme", "acme", "acme")
        tasks[1].cancel()
        await until(lambda: queue.waiting() == 2, within_s=3)
    replies = await asyncio.gather(tasks[0], tasks[2])
    assert [reply.status_code for reply in replies] == [200, 200]
    await queue.is_empty()


async def test_models_without_a_queue_take_slots_and_never_wait(queue: Queued) -> None:
    async with queue.full():
        assert (await queue.ask(model="rude")).status_code == 200
        held = queue.starts(model="rude", ttft_s=0.5)
        await until(lambda: queue.running() == 2)
        assert (await held).status_code == 200
    await queue.is_empty()


async def test_a_model_with_another_target_does_not_wait(queue: Queued) -> None:
    async with queue.full():
        waiting = await queue.fill("acme")
        await target_of_either(queue, "elsewhere")
    assert (await waiting[0]).status_code == 200
    await queue.is_empty()
    await until(lambda: not queue.waiting())
    await target_of_either(queue, "llama")
    await queue.is_empty()


async def target_of_either(queue: Queued, target: str) -> None:
    """Wait until the workers have heard, so that requests go there; one that came too early does not wait long."""
    patience = {"x-stainless-timeout": "0.5"}
    async with asyncio.timeout(30):
        while (await queue.ask(model="either", headers=patience)).headers.get(TARGET) != target:  # noqa: ASYNC110 - Envoy
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_killed_loses_nobody(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill(*["acme"] * 6)
        os.kill(next(iter(queue.gateway.pids("filters").values())), signal.SIGKILL)
        await queue.all_asked_again(6)
        assert not [task for task in tasks if task.done()]
    assert await queue.order(tasks) == [0, 1, 2, 3, 4, 5], "they kept their places"
    await queue.is_empty()


async def test_counters_that_are_killed_lose_nobody(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill(*["acme"] * 4)
        before = queue.gateway.pids("valkey")["valkey"]
        os.kill(before, signal.SIGKILL)
        await until(lambda: queue.gateway.pids("valkey").get("valkey", before) != before)
        await queue.all_asked_again(4)
        assert not [task for task in tasks if task.done()], "they wait for counters that are back soon"
    assert await queue.order(tasks) == [0, 1, 2, 3]
    await queue.is_empty()


async def test_counters_that_stay_away_stop_nobody(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill(*["acme"] * 3)
        pid = queue.gateway.pids("valkey")["valkey"]
        stop(pid)
        try:
            replies = await asyncio.gather(*tasks, queue.ask())
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [reply.status_code for reply in replies] == [200] * 4
    await until(lambda: queue.let_through() >= 4)
    await queue.is_empty()


def ended(queue: Queued, outcome: str) -> float:
    return metric(queue.gateway, f'headgate_engine_queue_requests_total{{model="chat",outcome="{outcome}"')


async def test_an_envoy_that_is_killed_leaves_nothing_behind(queue: Queued) -> None:
    async with queue.full():
        tasks = await queue.fill("acme", "acme")
        os.kill(queue.gateway.pids("envoy")["envoy"], signal.SIGKILL)
        await asyncio.gather(*tasks, return_exceptions=True)
    await queue.is_empty()
