"""One valkey-server for the run, and a ledger per test; its log is shown when the test fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_process import Ledger
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
def ledger(server: ValkeyServer, tmp_path: Path) -> Iterator[Ledger]:
    """Not started yet: the test may want to prepare its spool."""
    ledger = Ledger(tmp_path / "state", server.socket)
    yield ledger
    print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
    ledger.close()
