"""How many of Python's functions a request's way through a worker calls: a count, the same on every machine.

One that rises is a request that has become dearer. Whoever means it to says why in docs/performance.md.
"""

import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import uvloop

from headgate.contract import COUNTERS_URL_ENV
from tests.counters.valkey_server import valkey_server
from tests.worker.filters_worker import Filters

WARM_UP, REQUESTS = 20, 50


async def calls_per_request(filters: Filters, tenant: str) -> float:
    for _ in range(WARM_UP):
        *_, plan = await filters.plan(filters.messages(tenant))
        assert b"provider/local" in plan, "that was no plan"
    requests = [filters.messages(tenant) for _ in range(REQUESTS)]
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        for messages in requests:
            await filters.plan(messages)
    finally:
        sys.setprofile(None)
    return calls / REQUESTS


async def all_calls() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
        filters = Filters(server)
        return {tenant: await calls_per_request(filters, tenant) for tenant in MOST}


# Of a tenant without limits, with `rpm` and `concurrency`, and with limits by tokens and money.
MOST = {"free": 300, "plain": 395, "limited": 520}


def test_a_request_calls_no_more_functions_than_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COUNTERS_URL_ENV, "")  # put back afterwards
    found = uvloop.run(all_calls())
    over = {tenant: calls for tenant, calls in found.items() if calls > MOST[tenant]}
    assert not over, (found, MOST)
