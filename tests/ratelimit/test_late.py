"""What waits for the counters: how it waits, how it goes on, and what is said of what is let go of."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.counters.limits import Applying, TenantLimits
from headgate.counters.reservation import Wish, reserve_call
from headgate.counters.scripts import Argument, Call, Script
from headgate.limits import LimitRow, LimitsRow
from ratelimit import late
from ratelimit.late import Late
from tests.counters.tenant import EPOCH, LEASE_MS, START
from tests.counters.valkey_server import ValkeyServer, valkey_server

APPLYING: Applying = TenantLimits("acme", LimitsRow((LimitRow("tpm", 10**9),))).applying("ci", "chat", "")
DROPPED = "let through without the counters, and never reserved"


class Watched(Counters):
    """Counts the calls, and how many there are at once. Its server's first news are waited for."""

    def __init__(self, server: ValkeyServer) -> None:
        self.is_back = asyncio.Event()
        self.is_gone = asyncio.Event()
        self.late = Late(self)
        self.calls = self.at_once = self._now = 0
        super().__init__(parsed(f"unix://{server.socket}"), 30.0, self.told)

    def told(self, _: str, reason: str | None) -> None:
        (self.is_gone if reason else self.is_back).set()
        if reason is None:
            self.late.try_now()

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        self.calls += 1
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            return await super().run(script, keys, arguments)
        finally:
            self._now -= 1


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path) as running:
        yield running


@pytest.fixture
async def away(own: ValkeyServer) -> AsyncIterator[Watched]:
    """Counters whose server was killed."""
    counters = Watched(own)
    counters.start()
    await counters.command("GET", "a")
    own.kill()
    await asyncio.wait_for(counters.is_gone.wait(), 20)
    yield counters
    await counters.close()


def call(number: int) -> Call:
    return reserve_call(APPLYING, Wish(f"r{number}", EPOCH, input=1), LEASE_MS, passed_ms=START)


async def until_done(counters: Watched) -> None:
    assert counters.late._working
    await asyncio.wait_for(asyncio.shield(counters.late._working), 20)


async def test_none_is_tried_while_they_are_away_and_a_few_at_a_time_when_they_are_back(
    away: Watched, own: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "LOOK_EVERY_S", 0.001)
    for number in range(100):
        away.late.add(call(number), LEASE_MS)
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert away.calls == 0
    own.start()
    await until_done(away)
    with own.client() as client:
        assert client.zcard("hg:{acme}:open") == 100
    assert (away.calls, away.at_once) == (100, late.AT_ONCE)


async def test_news_are_enough(away: Watched, own: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "LOOK_EVERY_S", 1000.0)
    away.late.add(call(1), LEASE_MS)
    own.start()
    await until_done(away)
    away.late.add(call(2), LEASE_MS)  # the ledger's sums may be missing in counters that are there
    await until_done(away)
    assert away.calls == 2


async def test_more_than_can_wait_are_counted(
    away: Watched, own: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "MOST", 5)
    with capture_logs() as logged:
        away.late.add(call(0), 0)  # its lease is over: nothing is lost with it
        for number in range(1, 9):
            away.late.add(call(number), LEASE_MS)
        own.start()
        await until_done(away)
    assert [(line["event"], line["requests"]) for line in logged] == [(DROPPED, 3)]
    with own.client() as client:
        assert client.zcard("hg:{acme}:open") == 5


async def test_a_worker_that_ends_says_how_many_still_wait(away: Watched) -> None:
    with capture_logs() as logged:
        for number in range(4):
            away.late.add(call(number), LEASE_MS)
        await asyncio.sleep(0)
        assert away.late._working
        away.late._working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await away.late._working
    assert [(line["event"], line["requests"]) for line in logged] == [(DROPPED, 4)]
