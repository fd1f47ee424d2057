"""The feed over a real server: told once, heard by all, and nothing that is lost stays lost."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Gauge
from redis import Redis
from structlog.testing import capture_logs

from headgate import metrics
from headgate.feed.states import EVERY_MODEL, State
from tests.counters.valkey_server import valkey_server
from tests.feed.ends import listening, telling, until

A, B = "provider/a@0123456789", "provider/b@0123456789"


async def test_a_change_reaches_all_workers_of_the_gateway_at_once(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with telling(url, "g1") as publisher, listening(url, "g1") as one, listening(url, "g1") as two:
        publisher.take_health({B: State.EJECTED})
        await until(lambda: one.of(B, "m") is two.of(B, "m") is State.EJECTED)
        publisher.take_health({A: State.UNHEALTHY})
        took = await until(lambda: one.of(A, "m") is two.of(A, "m") is State.UNHEALTHY)
        assert one.of(B, "m") is State.OK
        publisher.rest(A, "m", 30)
        publisher.rest(B, "m", 30)
        rested = await until(lambda: one.of(B, "m") is two.of(B, "m") is State.RESTED)
        assert one.of(A, "m") is State.UNHEALTHY
        assert one.of(A, "x") is State.UNHEALTHY
        assert one.of(B, "x") is State.OK
    with capsys.disabled():
        print(f"\nheard after {took * 1000:.0f} ms, a rest after {rested * 1000:.0f} ms")  # noqa: T201


async def test_gateways_on_one_server_keep_their_health_apart_and_share_rests(url: str) -> None:
    async with (
        telling(url, "g1") as first,
        telling(url, "g2") as second,
        listening(url, "g1") as of_first,
        listening(url, "g2") as of_second,
        listening(url, None) as of_nobody,
    ):
        first.take_health({A: State.UNHEALTHY})
        second.take_health({B: State.UNRESOLVED})
        first.rest("provider/c@1", "m", 30)
        await until(lambda: of_first.of(A, "m") is State.UNHEALTHY and of_second.of(B, "m") is State.UNRESOLVED)
        await until(lambda: of_second.of("provider/c@1", "m") is of_first.of("provider/c@1", "m") is State.RESTED)
        await until(lambda: (of_nobody.of(A, "m"), of_nobody.of(B, "m")) == (State.UNHEALTHY, State.UNRESOLVED))
        assert of_first.of(B, "m") is of_second.of(A, "m") is State.OK


async def test_a_worker_that_comes_late_or_missed_a_message_hears_everything_again(url: str, valkey: Redis) -> None:
    async with telling(url, "g1") as publisher, listening(url, "g1") as early:
        publisher.take_health({A: State.EJECTED})
        publisher.rest(A, "m", 60)
        publisher.rest(B, "m", 60)
        await until(lambda: early.of(B, "m") is State.RESTED and early.of(A, "m") is State.EJECTED)
        async with listening(url, "g1") as late:
            await until(lambda: late.of(A, "m") is State.EJECTED and late.of(B, "m") is State.RESTED)
        server: Any = valkey
        server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        publisher.take_health({A: State.UNHEALTHY})  # most likely unheard
        await until(lambda: early.of(A, "m") is State.UNHEALTHY)


async def test_who_hears_nothing_forgets_health_but_not_rests(url: str, valkey: Redis) -> None:
    async with listening(url, "g1") as states:
        async with telling(url, "g1") as publisher:
            publisher.take_health({A: State.UNHEALTHY, B: State.UNHEALTHY})
            publisher.rest(B, "m", 60)
            await until(lambda: states.of(A, "m") is State.UNHEALTHY and valkey.zcard("hg:feed:rests"))
        await until(lambda: states.of(A, "m") is State.OK)
        assert states.of(B, "m") is State.RESTED


async def test_rests_outlive_who_noted_them_and_end_by_themselves(url: str, valkey: Redis) -> None:
    async with telling(url, "g1") as publisher:
        publisher.rest(A, "long", 60)
        publisher.rest(A, "short", 1.5)
        publisher.rest(A, "long", 2)  # makes it no shorter
        publisher.rest(A, "endless", 1e9)
        await until(lambda: valkey.zcard("hg:feed:rests") == 3)
    assert 0 < valkey.pttl("hg:feed:rests") <= 601_000
    async with telling(url, "g1"), listening(url, "g1") as states:
        await until(lambda: states.of(A, "long") is State.RESTED)
        await until(lambda: states.of(A, "short") is State.OK and valkey.zcard("hg:feed:rests") == 2)
        assert states.of(A, "long") is State.RESTED


async def test_a_refused_key_is_told_to_all_gateways_and_so_is_its_renewal(url: str, valkey: Redis) -> None:
    async with telling(url, "g1") as one, telling(url, "g2") as two, listening(url, "g2") as states:
        one.rest(A, EVERY_MODEL, 60)
        one.rest(A, "m", 60)
        await until(lambda: states.of(A, "other") is State.REFUSED)
        await until(lambda: two.refused_keys == {A})
        two.end_rest(A, EVERY_MODEL)
        await until(lambda: states.of(A, "other") is State.OK)
        assert states.of(A, "m") is State.RESTED
        await until(lambda: one.refused_keys == frozenset())
    assert valkey.zcard("hg:feed:rests") == 1


async def test_the_server_is_killed_and_comes_back(tmp_path: Path) -> None:
    """Nobody waits meanwhile, and what was to be told then is told afterwards."""
    with valkey_server(tmp_path) as server:
        url = f"unix://{server.socket}"
        async with telling(url, "g1") as publisher, listening(url, "g1") as states:
            publisher.take_health({A: State.UNHEALTHY})
            await until(lambda: states.of(A, "m") is State.UNHEALTHY)
            server.kill()
            publisher.rest(B, "m", 60)
            publisher.take_health({A: State.EJECTED})
            await until(lambda: states.of(A, "m") is State.OK)
            await asyncio.to_thread(server.start)
            await until(lambda: states.of(A, "m") is State.EJECTED and states.of(B, "m") is State.RESTED)


async def test_a_server_that_hangs_is_left_and_found_again(tmp_path: Path) -> None:
    with valkey_server(tmp_path) as server:
        url = f"unix://{server.socket}"
        async with telling(url, "g1") as publisher, listening(url, "g1") as states:
            publisher.take_health({A: State.UNHEALTHY})
            await until(lambda: states.of(A, "m") is State.UNHEALTHY)
            server.send(signal.SIGSTOP)
            await until(lambda: states.of(A, "m") is State.OK)
            server.send(signal.SIGCONT)
            await until(lambda: states.of(A, "m") is State.UNHEALTHY)


async def test_a_user_who_may_not_publish_or_listen_costs_one_log_line_each(url: str, valkey: Redis) -> None:
    """The channels came after the keys: an operator's user may know only those. Then targets count as good."""
    server: Any = valkey
    server.execute_command("ACL", "SETUSER", "old", "on", ">pw", "~hg:*", "resetchannels", "+@all")
    refused = url.replace("unix://", "unix://old:pw@")
    with capture_logs() as lines:
        await _refused_for_a_while(refused, valkey)
    said = repr(lines)
    assert said.count("feed is away") == said.count("refuse to publish") == 1
    assert "NOPERM" in said
    assert "pw" not in said


async def _refused_for_a_while(refused: str, valkey: Redis) -> None:
    async with telling(refused, "g1") as publisher, listening(refused, "g1") as states:
        publisher.take_health({A: State.UNHEALTHY})
        publisher.rest(B, "m", 60)
        await until(lambda: valkey.zcard("hg:feed:rests"))
        await asyncio.sleep(8)  # some heartbeats and attempts after what was heard has been forgotten
        assert states.of(A, "m") is State.OK


async def test_metrics_say_what_was_told_and_heard(url: str) -> None:
    def value(gauge: Gauge) -> float:
        return float(next(iter(gauge.collect())).samples[0].value)

    heard = metrics.FEED_HEARD.labels("targets")
    async with telling(url, "g1") as publisher, listening(url, "g1") as states:
        assert time.time() - value(heard) < 60  # a worker that has just started has not waited long
        heard.set(0)
        publisher.take_health({A: State.UNHEALTHY, B: State.UNHEALTHY})
        publisher.rest(A, "m", 60)
        await until(lambda: states.of(A, "m") is State.UNHEALTHY)
        assert time.time() - value(heard) < 60
        assert time.time() - value(metrics.FEED_SENT) < 60
        await until(lambda: value(metrics.FEED_RESTS) == 1)
        clusters = {one.labels["state"]: one.value for one in next(iter(metrics.FEED_CLUSTERS.collect())).samples}
        assert clusters == {"saturated": 0, "ejected": 0, "unhealthy": 2, "unresolved": 0}
