"""One valkey-server for the run, emptied before each test that asks for it."""

from collections.abc import Iterator

import pytest
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
