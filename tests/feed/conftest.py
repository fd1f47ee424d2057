"""Where the run's valkey-server is. Clients run on uvloop, as in workers."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from redis import Redis

from tests.counters.valkey_server import ValkeyServer


@pytest.fixture
def url(server: ValkeyServer, valkey: Redis) -> str:
    """As `services.counters` says it."""
    return f"unix://{server.socket}"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
