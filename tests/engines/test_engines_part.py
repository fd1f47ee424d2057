"""What the engines' part tells workers, the supervisor and the log of engines that live, hang, lie and come back."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from headgate.feed.replicas import ReplicaState
from headgate.supervise import engine_samples, families, probes
from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.engines.engines_part import EnginesPart, engines_part, recorded_process, row, until
from tests.engines.scripted_engine import METRICS, STARTED, ScriptedEngine, scripted_engine

READY, AWAY = ReplicaState.READY, ReplicaState.AWAY


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as open_until_the_end:
        yield open_until_the_end


@pytest.fixture
async def one(stack: AsyncExitStack) -> ScriptedEngine:
    return await stack.enter_async_context(scripted_engine())


@pytest.fixture
async def two(stack: AsyncExitStack) -> ScriptedEngine:
    return await stack.enter_async_context(scripted_engine())


@pytest.fixture
async def part(
    stack: AsyncExitStack, tmp_path: Path, server: ValkeyServer, one: ScriptedEngine, two: ScriptedEngine
) -> EnginesPart:
    url = f"unix://{server.socket}"
    started = await stack.enter_async_context(engines_part(tmp_path, url, {"llama": row("llama", one, two)}))
    await until(lambda: states(started) == [READY, READY])
    return started


def states(part: EnginesPart) -> list[ReplicaState]:
    """Of all replicas of the engine, in the order in which they are told."""
    return [replica.state for replica in part.heard("llama").values()]


async def test_workers_hear_state_load_and_adapters(part: EnginesPart, one: ScriptedEngine) -> None:
    one.models = [{"id": "llama", "parent": None}, {"id": "acme/bot@2-0a1b2c3d", "parent": "llama"}]
    one.say("vllm:num_requests_running", "8.0", "3")
    await until(lambda: part.heard("llama")[one.address].running == 3)
    await until(lambda: part.heard("llama")[one.address].adapters == {"acme/bot@2-0a1b2c3d"})
    heard = part.heard("llama")[one.address]
    assert (heard.state, heard.waiting, heard.capacity, heard.kv_used) == (READY, 4, 8, 0.000977)


async def test_what_it_says_becomes_metrics(
    part: EnginesPart, one: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(part.state)
    samples = engine_samples.samples_of(await part.says())
    labels = ("llama", one.address)
    assert samples[families.ENGINE_TOKENS][*labels, "output"] == 984
    assert samples[families.ENGINE_PREFIX_QUERIES][labels] == 57
    assert samples[families.ENGINE_RUNNING][labels] == 8
    assert samples[families.ENGINE_STATE][*labels, "ready"] == 1
    assert samples[families.ENGINE_STATE][*labels, "away"] == 0
    metrics = {metric.name: metric for metric in await engine_samples.metrics()}
    buckets = {
        sample.labels["le"]: sample.value
        for sample in metrics["headgate_engine_time_to_first_token_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["replica"] == one.address
    }
    assert (buckets["0.08"], buckets["0.25"], buckets["+Inf"]) == (3, 9, 9)
    assert await probes.engines_ready(Path("run/engines.sock"))() is None


async def test_one_that_is_ill_is_away_and_the_other_is_not(
    part: EnginesPart, one: ScriptedEngine, two: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.health = 503
    await until(lambda: part.heard("llama")[one.address].state is AWAY)
    assert part.heard("llama")[two.address].state is READY
    assert (await part.replica(one.address)).detail == "answers 503 to /health"
    monkeypatch.chdir(part.state)
    said = await probes.engines_ready(Path("run/engines.sock"))()
    assert said == "llama: 1 of 2 ready (away: answers 503 to /health)"
    one.health = 200
    await until(lambda: states(part) == [READY, READY])
    changes = [line["now"] for line in part.lines("engine changed") if line["replica"] == one.address]
    assert changes == ["ready", "away", "ready"]


async def test_a_wrong_model_under_the_address_is_a_problem_that_shows(
    part: EnginesPart, one: ScriptedEngine
) -> None:
    one.models = [{"id": "gpt", "parent": None}, {"id": "llama", "parent": "gpt"}]  # adapters' names don't count
    await until(lambda: part.heard("llama")[one.address].state is AWAY)
    assert (await part.replica(one.address)).detail == 'does not serve "llama"'
    assert [line["serves"] for line in part.lines("engine changed") if "serves" in line] == [["gpt"]]
    one.models = [{"id": "llama", "parent": None}]
    await until(lambda: states(part) == [READY, READY])


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_one_that_hangs_costs_itself_only(
    part: EnginesPart, one: ScriptedEngine, two: ScriptedEngine, path: str
) -> None:
    one.hangs = {path}
    await until(lambda: part.heard("llama")[one.address].state is AWAY)
    two.say("vllm:num_requests_running", "8.0", "5")
    await until(lambda: part.heard("llama")[two.address].running == 5)
    said = await part.replica(one.address)
    assert said.detail == "no answer within 2 s"
    assert said.failures["silent"] >= 3
    one.hangs = set()
    await until(lambda: states(part) == [READY, READY])


@pytest.mark.parametrize(
    ("metrics", "headers", "failure"),
    [
        (b"vllm:num_requests_running 1\n" * 4_000_000, {}, "metrics_too_large"),  # 112 MB
        (b"\x1f\x8b" * 100, {"content-encoding": "gzip"}, "metrics_unreadable"),
        (None, {}, "metrics_status"),
    ],
    ids=["endless", "compressed", "none"],
)
async def test_metrics_that_can_not_be_had_take_no_engine(
    part: EnginesPart,
    one: ScriptedEngine,
    two: ScriptedEngine,
    metrics: bytes | None,
    headers: dict[str, str],
    failure: str,
) -> None:
    one.metrics, one.headers = metrics, headers
    await part.until_replica(one.address, lambda said: failure in said.failures)
    two.say("vllm:num_requests_running", "8.0", "5")
    await until(lambda: part.heard("llama")[two.address].running == 5)
    assert states(part) == [READY, READY]


async def test_metrics_that_stay_away_count_for_nothing_and_come_back(part: EnginesPart, one: ScriptedEngine) -> None:
    one.metrics = None
    await until(lambda: part.heard("llama")[one.address].running == 0)
    assert part.heard("llama")[one.address].state is READY
    one.metrics = METRICS
    await until(lambda: part.heard("llama")[one.address].running == 8)
    assert len(part.lines("an engine's metrics can't be read")) == 1
    assert len(part.lines("an engine's metrics are back")) == 1
    assert (await part.replica(one.address)).restarts == 0


async def test_nonsense_in_metrics_is_left_out_and_counted(part: EnginesPart, one: ScriptedEngine) -> None:
    one.say("vllm:num_requests_running", "8.0", "NaN")
    await until(lambda: part.heard("llama")[one.address].running == 0)
    said = await part.replica(one.address)
    assert said.running is None
    assert said.junk > 0
    assert said.waiting == 4


async def test_a_restart_is_noticed_and_its_adapters_are_gone_at_once(part: EnginesPart, one: ScriptedEngine) -> None:
    one.models = [{"id": "llama", "parent": None}, {"id": "a@1", "parent": "llama"}]
    await until(lambda: part.heard("llama")[one.address].adapters == {"a@1"})
    one.models = [{"id": "llama", "parent": None}]
    one.metrics = METRICS.replace(STARTED, "process_start_time_seconds 1.7953540e+09")
    await until(lambda: part.heard("llama")[one.address].adapters == frozenset())
    assert (await part.replica(one.address)).restarts == 1
    assert len(part.lines("an engine has started anew")) == 1


async def test_a_reload_changes_who_is_watched(
    part: EnginesPart, stack: AsyncExitStack, one: ScriptedEngine, two: ScriptedEngine
) -> None:
    three = await stack.enter_async_context(scripted_engine())
    three.models = [{"id": "gpt", "parent": None}]
    part.write({"llama": row("llama", two), "gpt": row("gpt", three, served="gpt")})
    await until(
        lambda: list(part.heard("llama")) == [two.address] and part.heard("gpt")[three.address].state is READY
    )
    asked = len(one.asked["/health"])
    part.write({"gpt": row("gpt", three, served="gpt")})
    await until(lambda: not part.knows("llama"))
    others = len(three.asked["/health"])
    await until(lambda: len(three.asked["/health"]) > others + 1)
    assert len(one.asked["/health"]) == asked
    assert {replica.engine for replica in (await part.says()).replicas} == {"gpt"}


async def test_a_name_is_looked_up_and_one_without_address_is_shown(part: EnginesPart, one: ScriptedEngine) -> None:
    part.write({"llama": row("llama", f"http://localhost:{one.port}", "http://engine.invalid:8000")})
    await until(lambda: list(part.heard("llama")) == [one.address] and states(part) == [READY])
    # Certificates and virtual hosts go by the name, whatever the address.
    await until(lambda: one.asked["/metrics"][-1]["Host"] == f"localhost:{one.port}")
    assert (await part.replica("engine.invalid:8000")).detail == "its name has no address"


async def test_a_key_goes_where_it_is_asked_for_and_is_renewed(part: EnginesPart, one: ScriptedEngine) -> None:
    (part.state / "secrets").mkdir()
    (part.state / "secrets" / "llama.key").write_text("first")
    part.write({"llama": row("llama", one, key_file="llama.key")})
    await until(lambda: one.asked["/v1/models"][-1].get("Authorization") == "Bearer first")
    (part.state / "secrets" / "llama.key").write_text("second")
    await until(lambda: one.asked["/v1/models"][-1].get("Authorization") == "Bearer second")
    await until(lambda: one.asked["/metrics"][-1].get("Authorization") == "Bearer second")
    assert all("Authorization" not in headers for headers in one.asked["/health"])
    assert "first" not in (part.state / "engines.log").read_text()


async def test_a_process_of_ours_is_starting_until_it_is_ready_and_says_when_it_drains(
    part: EnginesPart, one: ScriptedEngine
) -> None:
    def is_now(state: ReplicaState) -> bool:
        return part.heard("llama")[one.address].state is state

    with recorded_process(one.port) as record:
        part.record({"engine-llama-0": record})
        one.health = 503
        await until(lambda: is_now(ReplicaState.STARTING))
        one.health = 200
        await until(lambda: states(part) == [READY, READY])
        part.record({"engine-llama-0": msgspec.structs.replace(record, draining=True)})
        await until(lambda: is_now(ReplicaState.DRAINING))
        one.health = 503  # a life that was ready does not start again
        await until(lambda: is_now(AWAY))
    with recorded_process(one.port) as successor:
        part.record({"engine-llama-0": successor})
        await until(lambda: is_now(ReplicaState.STARTING))
    await until(lambda: is_now(AWAY))


async def test_one_that_is_killed_is_forgotten_and_its_successor_knows_at_once(
    part: EnginesPart, one: ScriptedEngine
) -> None:
    part.end(signal.SIGKILL)
    await until(lambda: not part.knows("llama"))
    part.start()
    await until(lambda: states(part) == [READY, READY])
    assert part.end() == 0


NVML = """
from types import SimpleNamespace as Found
class NVMLError(Exception): ...
def nvmlInit(): ...
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetMemoryInfo(handle): return Found(used=(handle + 1) * 2**30, total=80 * 2**30)
def nvmlDeviceGetUtilizationRates(handle): return Found(gpu=25 * (handle + 1), memory=7)
"""


async def test_gpus_are_shown_where_an_engine_of_this_host_has_some(part: EnginesPart, one: ScriptedEngine) -> None:
    """NVML's binding as it says it: this machine may have no GPU. Where there is none, nothing is shown."""
    (part.state / "binding").mkdir()
    (part.state / "binding" / "pynvml.py").write_text(NVML)
    part.end()
    part.write({"llama": row("llama", one, managed=True, gpus=1)})
    part.start(PYTHONPATH=str(part.state / "binding"))
    await until(lambda: states(part) == [READY])
    said = await part.until_says(lambda said: said.gpus)
    samples = engine_samples.samples_of(said)
    assert samples[families.GPU_USED] == {("0",): 0.25, ("1",): 0.5}
    assert samples[families.GPU_MEMORY_USED] == {("0",): 2**30, ("1",): 2**31}
    part.write({"llama": row("llama", one)})
    await part.until_says(lambda said: not said.gpus)


async def test_counters_that_are_away_hold_up_nothing(tmp_path: Path, one: ScriptedEngine) -> None:
    (tmp_path / "valkey").mkdir()
    with valkey_server(tmp_path / "valkey") as own:
        async with engines_part(tmp_path, f"unix://{own.socket}", {"llama": row("llama", one)}) as part:
            await until(lambda: states(part) == [READY])
            own.kill()
            one.health = 503
            await part.until_replica(one.address, lambda said: said.state == "away")
            own.start()
            await until(lambda: states(part) == [AWAY])
