"""A `headgate serve engines` of a test's own, on a state folder that the test writes; and a worker that hears it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from headgate.contract import ENGINES_SOCKET, PARTS, SNAPSHOT
from headgate.counters.address import parsed
from headgate.engine_rows import EngineRow
from headgate.engine_standing import EnginesStanding, ReplicaStanding
from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.feed.states import TargetStates
from headgate.feed.subscriber import Subscriber
from headgate.snapshot import Snapshot, write_snapshot
from headgate.supervise.parts_file import PartRecord, PartsFile, boot_id
from headgate.supervise.process import start_ticks_of
from tests.engines.scripted_engine import ScriptedEngine

HEADGATE = str(Path(sys.executable).with_name("headgate"))
GATEWAY = "engines-test"
WITHIN_S = 30.0


def row(name: str, *engines: ScriptedEngine | str, served: str | None = "llama", **more: Any) -> EngineRow:
    """An engine whose replicas are these, or are at these URLs."""
    urls = tuple(one if isinstance(one, str) else f"http://{one.address}" for one in engines)
    return EngineRow(cluster=f"provider/{name}@0123456789", urls=urls, capacity=8, served=served, **more)


class EnginesPart:
    """The process, and what it tells: on its socket, in its log, to a worker."""

    def __init__(self, state: Path, url: str, heard: Replicas) -> None:
        self.state, self._url, self._heard = state, url, heard
        self.process: subprocess.Popen[bytes] | None = None
        self._generation = 0
        (state / "run").mkdir(parents=True, exist_ok=True)

    def write(self, engines: Mapping[str, EngineRow]) -> None:
        """As a reload does."""
        self._generation += 1
        tables = Snapshot(self._generation, 0, 2**20, [], {}, {}, engines=dict(engines))
        write_snapshot(tables, self.state / SNAPSHOT)

    def record(self, parts: Mapping[str, PartRecord]) -> None:
        """As the supervisor does."""
        found = PartsFile(boot_id(), dict(parts))
        (self.state / PARTS).write_bytes(msgspec.json.encode(found))

    def start(self, **environ: str) -> None:
        environ = {**os.environ, "HEADGATE_COUNTERS": self._url, "HEADGATE_GATEWAY_ID": GATEWAY, **environ}
        with (self.state / "engines.log").open("ab") as log:
            self.process = subprocess.Popen(
                [HEADGATE, "serve", "engines", "--state", str(self.state)], env=environ, stdout=log, stderr=log
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(WITHIN_S)

    def heard(self, name: str) -> dict[str, Replica]:
        """What a worker knows of an engine, by address."""
        return {one.address: one for one in self._heard.of(f"provider/{name}@0123456789") or ()}

    def in_cluster(self, cluster: str) -> list[ReplicaState]:
        """The states that a worker knows of a cluster's replicas."""
        return [one.state for one in self._heard.of(cluster) or ()]

    def knows(self, name: str) -> bool:
        return self._heard.of(f"provider/{name}@0123456789") is not None

    async def says(self) -> EnginesStanding:
        reader, writer = await asyncio.open_unix_connection(str(self.state / ENGINES_SOCKET), limit=2**24)
        try:
            return msgspec.json.decode(await reader.readline(), type=EnginesStanding)
        finally:
            writer.close()

    async def replica(self, address: str) -> ReplicaStanding:
        return next(one for one in (await self.says()).replicas if one.address == address)

    async def until_replica(self, address: str, condition: Callable[[ReplicaStanding], object]) -> ReplicaStanding:
        """What its socket says of one, when this holds."""
        said = await self.until_says(lambda said: any(map(condition, _at(address, said))))
        return _at(address, said)[0]

    async def until_says(self, condition: Callable[[EnginesStanding], object]) -> EnginesStanding:
        """What its socket says, when this holds."""
        deadline = time.monotonic() + WITHIN_S
        while not condition(said := await self.says()):
            assert time.monotonic() < deadline, said
            await asyncio.sleep(0.05)
        return said

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Of its log."""
        found = [json.loads(line) for line in (self.state / "engines.log").read_text().splitlines()]
        return [line for line in found if line["event"] == event]


def _at(address: str, said: EnginesStanding) -> list[ReplicaStanding]:
    return [one for one in said.replicas if one.address == address]


@asynccontextmanager
async def engines_part(state: Path, url: str, engines: Mapping[str, EngineRow]) -> AsyncIterator[EnginesPart]:
    heard = Replicas()
    subscriber = Subscriber(parsed(url), GATEWAY, TargetStates(), replicas=heard)
    subscriber.start()
    part = EnginesPart(state, url, heard)
    part.write(engines)
    part.start()
    try:
        yield part
    finally:
        if part.process and part.process.poll() is None:
            part.end()
        await subscriber.close()


@contextmanager
def recorded_process(port: int) -> Iterator[PartRecord]:
    """A process that lives, and what the supervisor would record if it listened there."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield PartRecord(process.pid, start_ticks_of(process.pid) or 0, "digest", port=port)
        process.kill()


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)
