"""Adapters come to running engines, take each other's place and go, and nothing that is answered by one is cut."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from adapter_bench import Bench, Engine
from aiohttp import ClientSession, web

from engines.loading import engine_loop, keeping
from engines.loading.next_step import Rank
from engines.loading.telling import ReportTeller
from engines.loading.versions import Version
from headgate.adapter_metrics import ADAPTER_FAILURES
from headgate.adapter_reports import REPEATED_AFTER_S, AdapterReport, Serves
from headgate.adapter_row import AdapterRow
from headgate.adapters.layout import WEIGHTS, AdapterId
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.signature import SigningKey, key_text
from tests.objects import moto


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
async def running(bench: Bench) -> AsyncIterator[Bench]:
    async with bench.running():
        yield bench


def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "GRACE_S", 0.1)


async def promoted(bench: Bench, number: int, weight: int = 100) -> None:
    bench.control.promote(number, weight)
    await bench.until(lambda: bench.control.state(number) == "live")


async def stream_of(engine: Engine, model: str, tokens: int) -> AsyncIterator[str]:
    asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True, "max_tokens": tokens}
    url = f"http://127.0.0.1:{engine.port}/v1/chat/completions"
    async with ClientSession() as session, session.post(url, json=asked) as response:
        assert response.status == 200
        async for line in response.content:
            if line.startswith(b"data: "):
                yield line.decode().removeprefix("data: ").strip()


async def test_a_promoted_version_is_on_all_replicas_before_it_is_live(running: Bench) -> None:
    number = running.publish(0.5)
    running.control.promote(number)
    assert running.control.state(number) == "validated"
    await running.until(lambda: running.control.state(number) == "live")
    assert await running.on_all(number)
    folder = next((running.state / "cache").glob("[0-9a-f]*"))
    assert (folder / "adapter_model.safetensors").exists()


async def test_the_one_before_stays_and_can_be_live_again_at_once(running: Bench) -> None:
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)
    await promoted(running, second)
    assert await running.on_all(first, second)
    running.control.roll_back()
    assert running.control.state(first) == "live"
    third = running.publish(0.125)
    await promoted(running, third)
    loads = [("load_lora_adapter", running.control.name(number)) for number in (first, second, third)]
    assert [engine.calls for engine in running.engines] == [loads, loads]


async def test_two_versions_share_an_alias(running: Bench) -> None:
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)
    await promoted(running, second, weight=20)
    assert await running.on_all(first, second)
    assert (running.control.versions[0].weight, running.control.versions[1].weight) == (80, 20)


async def test_a_file_that_was_changed_in_the_store_is_loaded_nowhere(running: Bench) -> None:
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)
    running.access.store().put(AdapterId("acme", "bot", second).object(WEIGHTS), [b"x" * 100], 2**20)
    running.control.promote(second)
    await running.until(lambda: bool(running.control.failure(second)))
    assert "SHA-256" in running.control.failure(second)
    assert await running.on_all(first)
    assert running.control.state(first) == "live"
    assert all(name == running.control.name(first) for engine in running.engines for _, name in engine.calls)


async def test_a_version_that_somebody_else_has_signed_is_loaded_nowhere(running: Bench) -> None:
    number = running.publish(0.5, SigningKey(bytes(32)))
    running.control.promote(number)
    await running.until(lambda: bool(running.control.failure(number)))
    assert "signed with key" in running.control.failure(number)
    assert not any(engine.calls for engine in running.engines)


async def test_a_key_that_gateway_yaml_trusts_is_good(bench: Bench) -> None:
    other = SigningKey(bytes(32))
    bench.access = AdapterAccess(AdapterRow(trusted_keys=(key_text(other.public),)), bench.state)
    async with bench.running():
        await promoted(bench, bench.publish(0.5, other))


async def test_a_replica_that_refuses_it_fails_the_promotion_on_all(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_grace(monkeypatch)
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)

    async def refuse(request: web.Request) -> web.Response:
        folder = (await request.json())["lora_path"]
        return web.json_response({"error": {"message": f"no memory for {folder}"}}, status=400)

    running.engines[1].fails["/v1/load_lora_adapter"] = refuse
    running.control.promote(second)
    await running.until(lambda: bool(running.control.failure(second)))
    assert running.control.failure(second) == (
        "the engine does not load it (400): no memory for the adapter's folder"
    )
    assert running.control.state(first) == "live"
    await running.until(lambda: running.on_all(first))


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/v1/completions"])
async def test_trouble_that_passes_fails_no_promotion(running: Bench, path: str) -> None:
    before = failures("trouble")

    async def busy(_request: web.Request) -> web.Response:
        status = 429 if failures("trouble") == before else 503
        return web.json_response({"error": {"message": "not now"}}, status=status)

    running.engines[0].fails[path] = busy
    number = running.publish(0.5)
    running.control.promote(number)
    await running.until(lambda: failures("trouble") > before + 1)
    assert (running.control.state(number), running.control.failure(number)) == ("validated", "")
    running.engines[0].fails.clear()
    await running.until(lambda: running.control.state(number) == "live")


async def test_an_engine_that_makes_vectors_is_asked_for_one(running: Bench) -> None:
    asked: list[str] = []
    busy = {engine.port for engine in running.engines}

    async def described(request: web.Request) -> web.Response:
        if request.url.port in busy:
            busy.discard(request.url.port)
            return web.Response(status=503)
        return web.json_response({"openapi": "3.1.0", "paths": {"/v1/embeddings": {}, "/pooling": {}}})

    async def embedded(request: web.Request) -> web.Response:
        asked.append((await request.json())["model"])
        return web.json_response({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    async def nothing(_request: web.Request) -> web.Response:
        return web.json_response({"detail": "Not Found"}, status=404)

    for engine in running.engines:
        engine.fails = {"/openapi.json": described, "/v1/embeddings": embedded, "/v1/completions": nothing}
    number = running.publish(0.5)
    await promoted(running, number)
    assert asked == [running.control.name(number)] * 2


async def test_a_version_that_does_not_answer_never_gets_live(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_grace(monkeypatch)
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)

    async def nothing(request: web.Request) -> web.Response:
        return web.json_response({"usage": {"completion_tokens": 0}})

    running.engines[0].fails["/v1/completions"] = nothing
    running.control.promote(second)
    await running.until(lambda: bool(running.control.failure(second)))
    assert "no token" in running.control.failure(second)
    await running.until(lambda: running.on_all(first))
    del running.engines[0].fails["/v1/completions"]
    await promoted(running, second)


async def test_a_replica_that_starts_anew_gets_what_is_live(running: Bench) -> None:
    number = running.publish(0.5)
    await promoted(running, number)
    await running.engines[0].stop()
    await running.until(lambda: running.replicas[0].known.state.value == "away")
    await running.engines[0].start()
    assert await running.engines[0].adapters() == set()
    await running.until(lambda: running.on_all(number))
    await running.until(lambda: running.loader.has_adapters(running.replicas[0]))


async def test_while_the_store_is_away_all_stays_and_then_goes_on(running: Bench) -> None:
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)
    good = running.access
    (running.state / "no-folder").write_text("")
    running.access = AdapterAccess(AdapterRow(objects=f"file://{running.state}/no-folder"), running.state)
    before = failures("store")
    running.control.promote(second)
    await running.until(lambda: failures("store") > before + 2)
    assert running.control.told[-1].version == first
    assert await running.on_all(first)
    running.access = good
    await running.until(lambda: running.control.state(second) == "live")


async def test_while_control_is_away_the_alias_stays_and_then_goes_on(running: Bench) -> None:
    number = running.publish(0.5)
    running.control.is_away = True
    running.control.promote(number)
    await running.until(lambda: running.on_all(number))
    await running.until(lambda: running.control.refused > 1)
    assert running.control.state(number) == "validated"
    running.control.is_away = False
    await running.until(lambda: running.control.state(number) == "live")


async def test_what_control_did_not_take_is_said_again(bench: Bench) -> None:
    now, other_weights = [0.0], AdapterReport("acme", "bot", bench.publish(0.5), "0" * 64)
    teller, serves = ReportTeller(bench.state / "control.sock", lambda: now[0]), Serves(("chat",))
    async with bench.control.served():
        telling = asyncio.create_task(teller.run())
        for times in (1, 2, 3):
            for _ in range(2):  # it is said once in that time, however often there is news
                teller.take(serves, {other_weights: 1})
                await bench.until(lambda: bench.control.told == [other_weights] * times)  # noqa: B023 - awaited at once
            now[0] += REPEATED_AFTER_S
        telling.cancel()
    assert bench.control.serves == serves


async def test_a_version_is_not_unloaded_under_a_stream(running: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    no_grace(monkeypatch)
    first, second = running.publish(0.5), running.publish(0.25)
    await promoted(running, first)
    name = running.control.name(first)
    stream = stream_of(running.engines[0], name, 2000)
    assert json.loads(await anext(stream))["model"] == name
    await promoted(running, second)
    running.control.retire(first)
    await running.until(lambda: is_gone(running.engines[1], name))
    pieces = 0
    async for data in stream:
        pieces += 1
        if pieces == 500:
            assert name in await running.engines[0].adapters()
        last = data
    assert last == "[DONE]"
    await running.until(lambda: is_gone(running.engines[0], name))


async def test_what_has_no_place_is_not_promoted_and_what_was_live_makes_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_grace(monkeypatch)
    bench.places = 2
    async with bench.running():
        first, second, third = (bench.publish(value) for value in (0.5, 0.25, 0.125))
        await promoted(bench, first)
        await promoted(bench, second, weight=50)
        bench.control.promote(third)
        await bench.until(lambda: bool(bench.control.failure(third)))
        assert bench.control.failure(third) == 'engine "llama" has 2 places for adapters (max_loras): none is left'
        assert await bench.on_all(first, second)
        await promoted(bench, second)
        await promoted(bench, third)
        assert await bench.on_all(second, third)
        assert bench.control.state(first) == "validated"


async def test_no_request_fails_while_versions_come_and_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places, so that each promotion after the second has to make room under the requests."""
    no_grace(monkeypatch)
    bench.places = 2
    async with bench.running():
        await promoted(bench, bench.publish(1.0))
        answered: list[str] = []

        async def client(engine: Engine) -> None:
            while True:
                name = next(bench.control.name(one.number) for one in bench.control.versions if one.state == "live")
                data = [data async for data in stream_of(engine, name, 40)]
                assert data[-1] == "[DONE]"
                assert {json.loads(one)["model"] for one in data[:-1]} == {name}
                answered.append(name)

        async with asyncio.TaskGroup() as clients:
            tasks = [clients.create_task(client(engine)) for engine in bench.engines * 3]
            for number in range(2, 9):
                await promoted(bench, bench.publish(1.0 / number))
                if number % 3 == 0:
                    bench.control.roll_back()
                    assert bench.control.state(number) == "staged"
                so_far = len(answered)
                await bench.until(lambda so_far=so_far: len(answered) > so_far + 6)
            for task in tasks:
                task.cancel()
        assert {name.partition("@")[2].partition("-")[0] for name in answered} >= {"2", "5", "8"}


def failures(reason: str) -> float:
    """How many were counted on the engine so far."""
    samples = [sample for metric in ADAPTER_FAILURES.collect() for sample in metric.samples]
    said = {"engine": "llama", "reason": reason}
    return sum(one.value for one in samples if one.name.endswith("_total") and one.labels == said)


async def is_gone(engine: Engine, name: str) -> bool:
    return name not in await engine.adapters()


async def test_a_store_that_hangs_keeps_nobody_from_what_is_here(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes its connections and says nothing, while more versions are asked for than are fetched at once."""
    for number in range(9):
        bench.publish(number)
    (adapter,) = bench.control.directory.all_adapters()
    here, *others = (Version(one, Rank.LIVE) for one in adapter.versions)
    loaded = await bench.files.path_for(here)
    for name, value in {**moto.CREDENTIALS, **moto.NOWHERE}.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"s3://bucket?endpoint=http://127.0.0.1:{silent.getsockname()[1]}&region=eu-central-1"
        bench.access = AdapterAccess(AdapterRow(objects=url), bench.state)
        waiting = [asyncio.create_task(bench.files.path_for(one)) for one in others]
        first, _ = await asyncio.to_thread(silent.accept)
        async with asyncio.timeout(20):
            assert await bench.files.path_for(here) == loaded
        first.close()
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()


async def test_a_live_version_that_no_replica_has_any_more_is_told_of_and_why(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both engines were started anew by somebody else, and refuse it now."""
    monkeypatch.setattr(engine_loop, "UNSERVED_AFTER_S", 0.1)
    number = running.publish(0.5)
    await promoted(running, number)
    await running.until(lambda: running.control.serves.unserved == {})
    manifest = running.control.versions[0].manifest_sha256 or ""

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "rank 64 is above 16"}}, status=400)

    for engine in running.engines:
        await engine.stop()
    for engine in running.engines:
        engine.fails["/v1/load_lora_adapter"] = refuse
        await engine.start()
    await running.until(lambda: "rank 64" in running.control.serves.unserved.get(manifest, ""))
    assert running.control.state(number) == "live"
    running.engines[0].fails.clear()
    await running.until(lambda: running.control.serves.unserved == {})
