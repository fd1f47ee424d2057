"""One valkey-server for the run, emptied before each test that asks for it, and what each process makes but once."""

import functools
from collections.abc import Iterator

import httpcore2
import pytest
from redis import Redis

from tests.counters.valkey_server import ValkeyServer, valkey_server

# The public authorities' certificates: 25 ms of work for each client that is made, `httpx2.get` makes one for a call.
httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def valkey(server: ValkeyServer) -> Iterator[Redis]:
    with server.client() as client:
        client.flushall()
        yield client
