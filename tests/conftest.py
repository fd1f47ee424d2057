"""One valkey-server for the run, emptied before each test that asks for it, and what each process makes but once."""

import functools
from collections.abc import Iterator
from typing import Any

import httpcore2
import pytest
from redis import Redis
from xdist.scheduler import LoadFileScheduling

from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.turns import Turns, turn_of

# The public authorities' certificates: 25 ms of work for each client that is made, `httpx2.get` makes one for a call.
httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.path.name))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    config.option.loadscopereorder = False  # it would put the files with the fewest tests last
    return Turns(config, log)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def valkey(server: ValkeyServer) -> Iterator[Redis]:
    with server.client() as client:
        client.flushall()
        yield client
