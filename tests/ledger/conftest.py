"""A ledger per test, on the run's valkey-server; its log is shown when the test fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_process import Ledger
from redis import Redis
from spending import E1, LIMITS, PRICE, base_of

from tests.counters.valkey_server import ValkeyServer


@pytest.fixture
def ledger(server: ValkeyServer, tmp_path: Path) -> Iterator[Ledger]:
    """Not started yet: the test may want to prepare its spool."""
    ledger = Ledger(tmp_path / "state", server.socket)
    yield ledger
    print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
    ledger.close()


@pytest.fixture
def limited(ledger: Ledger, valkey: Redis) -> Ledger:
    """A ledger that knows of acme's limits and has told the counters so."""
    ledger.alive(E1)
    ledger.tables({"acme": LIMITS}, PRICE)
    ledger.start()
    assert valkey.hkeys(base_of(LIMITS))
    return ledger
