"""The tiny model, the replicas that serve it and a gateway in front of them, once for the run."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.raw_http import started
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.vllm.engine_under_test import EngineUnderTest, write_adapters
from tests.vllm.vllm_gateway import gateway_config
from tests.vllm.vllm_replica import EMBEDS, GENERATES, MAX_RUNNING, MODEL, PYTHON, Replica, environment, vllm_replica


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` and the adapters `acme`, `globex`, `wide` and `other`."""
    folder = tmp_path_factory.mktemp("tiny")
    assert PYTHON.exists(), "run `make setup-vllm` first"
    train = Path(__file__).with_name("train_tiny_model.py")
    done = subprocess.run([PYTHON, train, folder], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def replicas(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica, Replica]]:
    """Two that generate, and one that embeds; they start side by side."""
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as running:
        first, second, pooling = (
            running.enter_context(vllm_replica(folder, tiny / "model", *flags))
            for flags in (GENERATES, GENERATES, EMBEDS)
        )
        for replica in (first, second, pooling):
            replica.wait_until_healthy()
        yield first, second, pooling


@pytest.fixture(scope="session")
def gateway(
    replicas: tuple[Replica, Replica, Replica], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway whose models `chat` and `embed` are the replicas'."""
    first, second, pooling = replicas
    config = gateway_config([first.url, second.url], pooling.url)
    with running_gateway(tmp_path_factory.mktemp("gateway"), config, {}) as running:
        yield running


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineUnderTest]:
    """The simulator with the limits of the replicas."""
    folder = tmp_path_factory.mktemp("simulator")
    write_adapters(folder)
    flags = [f"--model={MODEL}", f"--max-running={MAX_RUNNING}", "--prefix-cache=65536", "--ttft=0", "--token=0.003"]
    flags += ["--max-loras=2", "--max-cpu-loras=4", "--max-lora-rank=8"]
    with started(folder / "record.jsonl", *flags) as running:
        yield EngineUnderTest(f"http://127.0.0.1:{running.port}", MODEL, folder)


@pytest.fixture(scope="session")
def real(replicas: tuple[Replica, Replica, Replica], tiny: Path) -> EngineUnderTest:
    """Real vLLM."""
    return EngineUnderTest(replicas[0].url, MODEL, tiny)


@pytest.fixture(params=["simulator", pytest.param("real", marks=pytest.mark.vllm)])
def engine(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    """Each of both in turn; no adapters are loaded, nothing runs."""
    engine: EngineUnderTest = request.getfixturevalue(request.param)
    yield engine
    engine.unload_all()
    engine.wait_for(0, 0)
