"""Clients run on uvloop, as in workers. Scripts' replies are bytes, as workers read them."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvloop
from redis import Redis

from tests.counters.valkey_server import ValkeyServer


@pytest.fixture(scope="session")
def shared_valkey(server: ValkeyServer) -> ValkeyServer:
    """The run's; a test that hurts its server has one of its own."""
    return server


@pytest.fixture
def raw(valkey: Redis, shared_valkey: ValkeyServer) -> Iterator[Redis]:
    """The same server, emptied, by a client that decodes nothing."""
    with shared_valkey.raw_client() as client:
        yield client


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
