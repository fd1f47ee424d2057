"""A worker on another host, without Envoy: what it begins with, and how it comes back to where its gateway is."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headgate import contract
from headgate.config.addresses import Address
from headgate.directory.file import FILE
from headgate.remote.handing import Handing, Hosts
from headgate.remote.messages import LAPSE_S, Hello
from headgate.remote.network import TlsFiles
from headgate.snapshot import Snapshot, write_snapshot
from tests.certificates import Authority
from tests.directory.files import key, mark, started

GATEWAY = "spiffe://example.test/gateway"
DEADLINE_S = 60.0


class Pair:
    """A worker's process, and its gateway's side in the working directory."""

    def __init__(self, folder: Path) -> None:
        workers, gateways = Authority("workers"), Authority("gateways")
        for name, authority in (("workers-ca", workers), ("gateways-ca", gateways)):
            (folder / f"{name}.pem").write_bytes(authority.pem)
        workers.issue("127.0.0.1").write(folder, "worker")
        gateways.issue(GATEWAY).write(folder, "gateway")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        files = TlsFiles(*(folder / f"{name}.pem" for name in ("gateway", "gateway-key", "workers-ca")))
        hosts = Hosts((Address("127.0.0.1", self.port),), None, files)
        self.handing = Handing(hosts, Hello("gateway", 1, ""))
        self.folder, self.log = folder, folder / "worker.log"

    def process(self) -> "subprocess.Popen[bytes]":
        options = {"address": f"127.0.0.1:{self.port}", "state": self.folder / "state", "client": GATEWAY}
        files = {"cert": "worker.pem", "key": "worker-key.pem", "client-ca": "gateways-ca.pem"}
        named = options | {name: self.folder / file for name, file in files.items()}
        command = [str(Path(sys.executable).with_name("headgate")), "serve", "filters", "--drain-timeout", "1s"]
        command += [str(part) for name, value in named.items() for part in (f"--{name}", value)]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self, pattern: str) -> int:
        return len(re.findall(pattern, self.log.read_text()))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pair]:
    pair = Pair(folder)
    process = pair.process()
    task = asyncio.create_task(pair.handing.run())
    try:
        yield pair
        assert process.poll() is None, pair.log.read_text()
    finally:
        task.cancel()
        await asyncio.wait({task})
        process.terminate()
        process.wait(DEADLINE_S)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - no event tells a test
            await asyncio.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "gateway").mkdir()
    monkeypatch.chdir(tmp_path / "gateway")
    for name in ("run", "spool"):
        Path(name).mkdir()
    return tmp_path


def tables(generation: int) -> None:
    write_snapshot(Snapshot(generation, 0, 1, [], {}, {}), contract.SNAPSHOT)


async def test_a_worker_whose_first_tables_cannot_be_read_begins_with_others(folder: Path) -> None:
    contract.SNAPSHOT.write_text(json.dumps({"generation": 1}))
    async with running(folder) as pair:
        await until(lambda: pair.said("tables not taken over") > 0)
        await asyncio.sleep(LAPSE_S + 1)
        assert pair.said("tables not taken over") <= LAPSE_S + 4  # not at each look
        tables(2)
        await until(lambda: pair.said("worker serves") == 1)


async def test_a_copy_of_the_directory_that_is_damaged_is_handed_over_anew(folder: Path) -> None:
    tables(1)
    writer = started(contract.DIRECTORY)
    writer.append(mark(1), [key(1)])
    async with running(folder) as pair:
        await until(lambda: pair.said("worker serves") == 1)
        with (contract.DIRECTORY / FILE).open("ab") as file:
            file.write(b"\xff" * 200)  # so that what is handed over anew is no better
        await until(lambda: pair.said("gateway is there") == 2)
        await until(lambda: pair.said("worker takes no calls") == 1)
        assert pair.said("gateway is there") == 2
        writer.replace(mark(2), [[key(2)]])
        await until(lambda: pair.said("worker serves") == 2)
