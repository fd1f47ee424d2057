"""One valkey-server for the run, emptied before each test that asks for it. Clients run on uvloop, as in workers."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop
from redis import Redis

from tests.counters.valkey_server import ValkeyServer, valkey_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def valkey(server: ValkeyServer) -> Iterator[Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def url(server: ValkeyServer, valkey: Redis) -> str:
    """Where it is, as `services.counters` says it."""
    return f"unix://{server.socket}"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
