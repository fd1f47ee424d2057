"""Traffic while the usage store hangs and then is gone: no request notices, it is said, all is stored once after."""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
from quotas import quotas
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

from bench.meter import resident_bytes
from headgate.contract import USAGE_SOCKET
from headgate.usage_client import UsageClient
from headgate.usage_questions import Export, ExportedRow
from tests.store.servers import Server, running_server

BEFORE, HANGING, AWAY, AFTER = 20, 100, 1_100, 200  # requests; those while it is away fill a file of the spool
AT_ONCE = 16
DEADLINE_S = 120.0  # the writer waits for 16 s after a call without an answer
LONGEST_S = "30.0"  # a bucket's bound: half of what the store's part waits for an answer
GROWS_BY = 64 * 2**20  # a hundred times what the requests take in the journal


async def test_a_store_that_goes_and_comes_back(engine: Engine, tmp_path: Path) -> None:
    found = quotas(engine, {"acme": {"monthly_usd": 1_000_000}})
    with running_server(tmp_path / "server") as server:
        found.config["services"] = {"usage": f"clickhouse://someone:hidden@127.0.0.1:{server.url.port}/gate"}
        found.config["spool"] = {"rotate": "1MiB", "keep": "0s"}
        with running_gateway(tmp_path, found.config, {}) as gateway:
            await Outage(gateway, server, found.keys["acme"]).run()


class Outage:
    def __init__(self, gateway: RunningGateway, server: Server, key: str) -> None:
        self.gateway, self.server, self.key = gateway, server, key
        self.ids: list[str] = []
        self.statuses: Counter[int] = Counter()

    async def run(self) -> None:
        await self.ask(BEFORE)
        await self.until(self.nothing_waits)
        memory = self.memory()
        self.server.send(signal.SIGSTOP)
        await self.ask(HANGING)  # it comes back while the store still hangs
        self.server.send(signal.SIGKILL)
        await self.ask(AWAY)
        await self.until(self.is_said)
        await self.until(lambda: self.waits(HANGING + AWAY))
        assert len(self.spool_files()) >= 2, "a file that is full stays, though nothing is kept for long"
        assert all(now - then < GROWS_BY for now, then in zip(self.memory(), memory, strict=True))
        self.server.start()
        await self.ask(AFTER)
        await self.until(self.nothing_waits)
        await self.until(lambda: done("usage_store" not in self.gateway.readyz()["degraded"]))
        await self.until(lambda: done(len(self.spool_files()) == 1))
        assert self.statuses == {200: len(self.ids)}
        assert await self.durations() == {LONGEST_S: len(self.ids), "+Inf": len(self.ids)}
        assert Counter(await self.stored()) == Counter(self.ids)

    async def ask(self, count: int) -> None:
        """So many requests, sixteen at once."""
        waiting = iter(range(count))
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx2.AsyncClient(base_url=self.gateway.url, headers=headers, timeout=DEADLINE_S) as client:

            async def some() -> None:
                for _ in waiting:
                    body = chat(simulate={"tokens": 1, "token_s": 0, "ttft_s": 0})
                    reply = await client.post(CHAT, json=body)
                    self.statuses[reply.status_code] += 1
                    self.ids.append(reply.headers["x-request-id"])

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def is_said(self) -> bool:
        """By /readyz, which is ready all the same, and by the metrics."""
        said = self.gateway.readyz()
        return (
            said["ready"]
            and "usage_store" in said["degraded"]
            and await self.metric("headgate_usage_store_errors_total", kind="StoreAway") > 0
            and await self.metric("headgate_usage_lag_seconds") > 0
        )

    async def waits(self, count: int) -> bool:
        return await self.metric("headgate_usage_backlog_rows") == count

    async def nothing_waits(self) -> bool:
        """Neither in the spool nor in the journal."""
        stored = await self.metric("headgate_usage_stored_rows_total")
        return stored == len(self.ids) and await self.waits(0)

    async def stored(self) -> list[str]:
        """The ids of all rows."""
        now, client = int(time.time()), UsageClient(self.gateway.state / USAGE_SOCKET)
        asked = Export(tenant="acme", since_s=now - 3_600, until_s=now + 60)
        return [row.request_id async for row in client.export(asked) if isinstance(row, ExportedRow)]

    async def durations(self) -> dict[str, int]:
        """How many requests took at most so long."""
        name = "headgate_request_duration_seconds_bucket"
        return {bound: int(await self.metric(name, le=bound)) for bound in (LONGEST_S, "+Inf")}

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of its samples with these labels."""
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"http://{self.gateway.admin_address}/metrics", timeout=DEADLINE_S)).text
        samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(float(value) for held, value in samples if wanted <= set(held.split(",")))

    def spool_files(self) -> list[Path]:
        return [*(self.gateway.state / "spool").glob("[!.]*.ndjson")]

    def memory(self) -> list[int]:
        """Resident bytes of the ledger, and of the store's part."""
        return [resident_bytes(pid) for part in ("ledger", "usage") for pid in self.gateway.pids(part).values()]

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not await holds():
            assert time.monotonic() < deadline, (holds, self.gateway.readyz())
            await asyncio.sleep(0.1)


async def done(what: Any) -> bool:
    return bool(what)
