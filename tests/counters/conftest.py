"""One valkey-server for the run, emptied before each test that asks for it. Clients run on uvloop, as in workers."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop
from redis import Redis
from valkey_server import ValkeyServer, valkey_server


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: ValkeyServer) -> Iterator[Redis]:
    with shared_valkey.client() as client:
        client.flushall()
        yield client


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
