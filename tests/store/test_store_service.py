"""The usage store's process: small until there is something to keep, well while its store is away, and told of it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from headgate.standing import ASK_STANDING, Standing
from headgate.supervise.probes import SILENCE, usage_answers, usage_store_up
from headgate.usage_client import UsageClient
from headgate.usage_questions import Mark, Marks, Sums
from tests.stopped import stop
from tests.store.made_rows import NOVEMBER_MS, Journal, make_rows, sums_of
from tests.store.servers import running_server

HEADGATE = str(Path(sys.executable).with_name("headgate"))
SOCKET = Path("run/usage.sock")
ALL = Sums(tenant=None, since_s=NOVEMBER_MS // 1000 - 600, until_s=NOVEMBER_MS // 1000 + 86_400)


class Part:
    def __init__(self, state: Path, url: str | None = None) -> None:
        self.log = state / "usage.log"
        environ = os.environ | ({"HEADGATE_USAGE": url} if url else {})
        with self.log.open("ab") as log:
            command = [HEADGATE, "serve", "usage", "--state", str(state)]
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def has_chdb(self) -> bool:
        return "_chdb" in Path(f"/proc/{self.process.pid}/maps").read_text()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def running(state: Path, url: str | None = None) -> Iterator[Part]:
    part = Part(state, url)
    try:
        until(lambda: asyncio.run(usage_answers(SOCKET)()) is None)
        yield part
    finally:
        part.process.kill()
        part.process.wait()


def until(done: Callable[[], object], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def standing() -> Standing:
    reader, writer = await asyncio.open_unix_connection(str(SOCKET))
    writer.write(ASK_STANDING)
    said = msgspec.json.decode(await reader.readline(), type=Standing)
    writer.close()
    return said


def requests() -> int:
    (row,) = asyncio.run(UsageClient(SOCKET).ask(ALL)).rows or (None,)
    return row.requests if row else 0


def marks(*, stored: bool = False) -> tuple[Mark | None, list[Mark]]:
    answer = asyncio.run(UsageClient(SOCKET).marks(Marks(stored=stored)))
    return answer.own, answer.stored


def test_nothing_of_clickhouse_is_there_before_it_is_needed(state: Path) -> None:
    rows = make_rows(31, 2_500)
    with running(state) as part:
        assert asyncio.run(standing()).state == "opening"
        assert asyncio.run(usage_store_up(SOCKET)()) is None
        assert requests() == 0
        assert marks() == (None, [])
        time.sleep(1)
        assert not part.has_chdb()
        journal = Journal(state / "ledger" / "usage.db")
        journal.append(rows)
        until(lambda: requests() == sums_of(rows)["requests"])
        assert part.has_chdb()
        assert asyncio.run(standing()).state == "up"
        until(lambda: marks()[0])
        mark, found = marks(stored=True)
        assert found[-1] == mark
        part.process.send_signal(signal.SIGTERM)
        assert part.process.wait(60) == 0
    with running(state) as part:
        assert marks()[0] is None
        assert not part.has_chdb(), "who does not ask for what is stored opens no store"
        assert requests() == sums_of(rows)["requests"]
    journal.close()


def test_a_store_that_is_away_is_said_and_what_came_meanwhile_is_kept(state: Path) -> None:
    rows = make_rows(32, 800)
    journal = Journal(state / "ledger" / "usage.db")
    journal.append(rows)
    with running_server(state / "server") as server:
        server.send(signal.SIGKILL)
        address = f"127.0.0.1:{server.url.port}"
        with running(state, f"clickhouse://someone:hidden-word@{address}/gate") as part:
            until(lambda: asyncio.run(standing()).state == "away")
            assert asyncio.run(usage_answers(SOCKET)()) is None
            detail = asyncio.run(usage_store_up(SOCKET)())
            assert detail is not None
            assert detail.startswith("away since ")
            server.start()
            until(lambda: asyncio.run(standing()).state == "up")
            until(lambda: requests() == sums_of(rows)["requests"])
            said = f"{detail} {part.log.read_text()}"
            assert "hidden-word" not in said
            assert address not in said
            assert not part.has_chdb()
    journal.close()


def test_a_part_that_hangs_is_silent(state: Path) -> None:
    with running(state) as part:
        stop(part.process.pid)
        assert asyncio.run(usage_answers(SOCKET)()) == SILENCE
        assert asyncio.run(usage_store_up(SOCKET)()) == "not known: usage does not answer"
