"""A real gateway with simulators behind it, one for the whole run; its logs are shown only when a test fails."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from chains import Chains, running_chains
from running_gateway import RunningGateway, running_gateway
from tenants import PROVIDER_ENV, Keys, configuration, new_keys
from upstreams import Engine, closing_address, refused_address, simulator

_running: list[RunningGateway] = []
_sizes = pytest.StashKey[dict[Path, int]]()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Our own engine: behind `local`, `final`, `plain` and one half of `pair`."""
    with simulator(tmp_path_factory.mktemp("engine"), "engine") as running:
        yield running


@pytest.fixture(scope="session")
def other_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Somebody else's: behind `keyed`, `prefixed` and the other half of `pair`."""
    with simulator(tmp_path_factory.mktemp("other"), "other") as running:
        yield running


@pytest.fixture(scope="session")
def keys() -> Keys:
    return new_keys()


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine, keys: Keys
) -> Iterator[RunningGateway]:
    with refused_address() as dead, closing_address() as closing:
        config = configuration(keys, engine.address, other_engine.address, dead, closing)
        with running_gateway(tmp_path_factory.mktemp("gateway"), config, PROVIDER_ENV) as running:
            _running.append(running)
            yield running


@pytest.fixture(scope="session")
def spare_gateway(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine, other_engine: Engine, keys: Keys
) -> Iterator[RunningGateway]:
    """One whose parts may be killed, and which takes bodies of up to 1 MiB."""
    with refused_address() as dead, closing_address() as closing:
        config = configuration(keys, engine.address, other_engine.address, dead, closing)
        config["listen"] = {"max_body": "1MiB"}
        with running_gateway(tmp_path_factory.mktemp("spare"), config, PROVIDER_ENV) as running:
            _running.append(running)
            yield running


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chains]:
    """One before scripted providers, with the models that the chains' test modules have declared."""
    with running_chains(tmp_path_factory.mktemp("chains")) as running:
        _running.append(running.gateway)
        yield running


@pytest.fixture
def client(gateway: RunningGateway, keys: Keys) -> Iterator[openai.OpenAI]:
    """The SDK of an application of acme's."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=keys.acme, max_retries=0, timeout=60) as sdk:
        yield sdk


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[_sizes] = {path: size for gateway in _running for path, size in gateway.texts().items()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        before = item.stash.get(_sizes, {})
        for path in [path for gateway in _running for path in gateway.texts()]:
            text = path.read_bytes()[before.get(path, 0) :][-6000:].decode("utf-8", "replace")
            if text:
                report.sections.append((f"{path.name} during the test", text))
    return report
