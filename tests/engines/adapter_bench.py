"""Engines, a store, a directory and a control for the tests of loading: real ones, in one process.

The engines are simulators, which load adapters as vLLM does. Control's rules are its own.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, web

from control.adapters import states
from control.directory_rows import changes_of
from control.store.values import Adapter, AdapterVersion
from engines.loading.files import AdapterFiles
from engines.loading.loader import Loader
from engines.loading.telling import ReportTeller
from engines.simulator.app import Simulator
from engines.simulator.options import Options
from engines.simulator.record import Record
from engines.watch.place import Place
from engines.watch.replica import Replica
from headgate.adapter_reports import REPORTS, AdapterReport, HostReport, Serves, Taken
from headgate.adapter_row import AdapterRow
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import digest_of
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.publishing import NewVersion, publish
from headgate.adapters.signature import SigningKey, key_text
from headgate.directory.directory import Directory
from headgate.engine_rows import EngineRow
from headgate.objects.marker import read_marker, write_marker
from headgate.snapshot import Snapshot, TargetRow, TenantRow, ZonedTarget
from tests.adapters import made

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WITHIN_S = 20.0
KEY = SigningKey(bytes(range(32)))


@dataclass
class Engine:
    """One replica: a simulator behind a door that can be shut."""

    name: str
    options: Options = field(default_factory=lambda: Options(model="llama", ttft_s=0.0, token_s=0.001, max_loras=4))
    port: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)  # paths of adapters' endpoints, and names
    fails: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = field(default_factory=dict)  # by path
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = Simulator(self.options, Record(None)).application()
        app.middlewares.insert(0, self._door)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @property
    def place(self) -> Place:
        return Place("http", "127.0.0.1", self.port, host="127.0.0.1")

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.endswith("_lora_adapter"):
            self.calls.append((request.path.removeprefix("/v1/"), (await request.json())["lora_name"]))
        if failing := self.fails.get(request.path):
            return await failing(request)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def adapters(self) -> set[str]:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/v1/models") as response:
            return {card["id"] for card in (await response.json())["data"] if card["parent"]}


class Control:
    """An adapter `acme/bot` and its versions, as control would have them."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.directory = Directory()
        self.versions: tuple[AdapterVersion, ...] = ()
        self.told: list[AdapterReport] = []
        self.serves = Serves()
        self.is_away, self.refused = False, 0
        self.changed: Callable[[], None] = lambda: None
        kept = {"created_at": NOW, "updated_at": NOW, "version": 1}
        self._kept = kept
        adapter = Adapter(tenant_id="acme", name="bot", base_model="chat", created_by="", **kept)
        self.directory.take(1, changes_of((adapter,)))

    def add(self, sha256: str, manifest_sha256: str) -> int:
        number = len(self.versions) + 1
        version = AdapterVersion(
            tenant_id="acme",
            name="bot",
            number=number,
            sha256=sha256,
            manifest_sha256=manifest_sha256,
            size_bytes=1,
            created_by="",
            state="validated",
            facts={},
            **self._kept,
        )
        self.versions = (*self.versions, version)
        self.take((version,))
        return number

    def take(self, changed: tuple[AdapterVersion, ...]) -> None:
        version = self.directory.version + 1
        fresh = {one.number: replace(one, version=version) for one in changed}
        self.versions = tuple(fresh.get(one.number, one) for one in self.versions)
        self.directory.take(version, changes_of(tuple(fresh.values())))
        self.changed()

    def promote(self, number: int, weight: int = states.ALONE) -> None:
        self.take(states.promote(self.versions, number, weight, NOW + dt.timedelta(seconds=self.directory.version)))

    def roll_back(self) -> None:
        self.take(states.roll_back(self.versions, NOW + dt.timedelta(seconds=self.directory.version)))

    def retire(self, number: int) -> None:
        self.take(states.retire(self.versions, number, NOW))

    def state(self, number: int) -> str:
        return states.version_of(self.versions, number).state

    def failure(self, number: int) -> str:
        return states.version_of(self.versions, number).failure or ""

    def name(self, number: int) -> str:
        return states.version_of(self.versions, number).engine_name

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post(REPORTS, self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(self._socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()
            self._socket.unlink(missing_ok=True)

    async def _take(self, request: web.Request) -> web.Response:
        if self.is_away:
            self.refused += 1
            return web.Response(status=503)
        said = msgspec.json.decode(await request.read(), type=HostReport)
        self.serves = said.serves
        taken = Taken(tuple(self._take_one(one) for one in said.reports))
        return web.Response(body=msgspec.json.encode(taken))

    def _take_one(self, said: AdapterReport) -> str | None:
        self.told.append(said)
        if states.version_of(self.versions, said.version).sha256 != said.sha256:
            return "other weights"
        if said.reason is not None:
            self.take(states.fail(self.versions, said.version, said.reason))
        else:
            at = NOW + dt.timedelta(seconds=self.directory.version)
            self.take(states.stage(self.versions, said.version, "here", ["here"], at))
        return None


class Bench:
    """Two replicas of the engine `llama`, which is what `chat` is served by."""

    def __init__(self, state: Path) -> None:
        self.state = state
        (state / "identity").mkdir(exist_ok=True)
        (state / "identity/adapter-key").write_text(key_text(bytes(range(32))))
        self.engines = [Engine("first"), Engine("second")]
        self.control = Control(state / "control.sock")
        self.access = AdapterAccess(AdapterRow(), state)
        self.places = 4
        self.called: dict[str, float] = {}  # as workers say it
        self.replicas: list[Replica] = []
        self.files = AdapterFiles(state / "cache", lambda: self.access)
        self._tasks: list[asyncio.Task[None]] = []
        self.loader = Loader(
            self.control,
            self.snapshot,
            lambda: self.replicas,
            lambda _: self.files,
            ReportTeller(state / "control.sock"),
            lambda _cluster: self.called,
        )
        self.control.changed = self.loader.news

    def snapshot(self) -> Snapshot:
        target = TargetRow("llama", "openai", "provider/llama", "llama", "continuous", 1, 1, 1, has_adapters=True)
        row = EngineRow("provider/llama", (), 8, max_loras=self.places, managed=True)
        chains = {"chat": [ZonedTarget("internal", target)]}
        return Snapshot(
            1, 0, 1, [], {"acme": TenantRow({"chat": [target]})}, {}, chains=chains, engines={"llama": row}
        )

    def publish(self, value: float, key: SigningKey = KEY) -> int:
        """The next version of acme/bot; the number that control gives it."""
        number = len(self.control.versions) + 1
        upload = made.files(self.state / f"upload-{number}", made.safetensors(made.lora_shapes(), value=value))
        new = NewVersion(AdapterId("acme", "bot", number), upload.weights, upload.config)
        if read_marker(self.access.store()) is None:
            write_marker(self.access.store(), "0" * 64)
        manifest = publish(self.access.store(), key, new, made.BASE)
        return self.control.add(manifest.weights.sha256, digest_of(manifest))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for engine in self.engines:
                await engine.start()
                stack.push_async_callback(engine.stop)
            self.replicas = [Replica("llama", one.place, self.loader.news, _Nobody()) for one in self.engines]
            await stack.enter_async_context(self.control.served())
            tasks = [asyncio.create_task(one.run()) for one in (*self.replicas, self.loader)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, what: Callable[[], bool | Awaitable[bool]]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = what()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(0.02)

    async def on_all(self, *numbers: int) -> bool:
        names = {self.control.name(number) for number in numbers}
        return all([await engine.adapters() == names for engine in self.engines])


class _Nobody:
    def life(self, place: Place) -> object | None:  # noqa: ARG002 - a protocol
        """No process here is of a gateway's."""
        return None

    def drains(self, place: Place) -> bool:  # noqa: ARG002 - a protocol
        """Nor is one to be ended."""
        return False
