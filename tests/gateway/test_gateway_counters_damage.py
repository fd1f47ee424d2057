"""The embedded counters' files are damaged: the gateway starts, and days and months are as they were."""

import os
import signal
from pathlib import Path

from limited import until
from quotas import Quotas, ask, quotas, settled, shown
from running_gateway import RunningGateway, running_gateway
from upstreams import Engine

PLAN = {"acme": {"daily_requests": 7, "daily_tokens": 100_000, "monthly_usd": 50}}


def garble(gateway: RunningGateway) -> None:
    """Two thousand wrong bytes in the middle of the append-only file."""
    (path,) = (gateway.state / "valkey/appendonlydir").glob("*.incr.aof")
    content = bytearray(path.read_bytes())
    at = len(content) // 2
    content[at : at + 2000] = os.urandom(2000)
    path.write_bytes(content)


def set_aside(gateway: RunningGateway) -> list[Path]:
    return sorted(gateway.state.glob("valkey.damaged-*"))


def used(gateway: RunningGateway) -> dict[str, object]:
    return {name: row["used"] for name, row in shown(gateway, "acme").items()}


async def test_a_gateway_whose_counters_are_damaged(engine: Engine, tmp_path: Path) -> None:
    """At its start, and while it runs: what was used of a day and a month is known again, to the unit."""
    setup: Quotas = quotas(engine, PLAN)
    with running_gateway(tmp_path, setup.config, {}) as gateway:
        assert [ask(gateway, setup.keys["acme"]).status_code for _ in range(3)] == [200] * 3
        await settled(gateway, "acme")
        before = used(gateway)
    garble(gateway)
    with running_gateway(tmp_path, setup.config, {}) as gateway:
        assert len(set_aside(gateway)) == 1
        assert "the counters' files are damaged" in gateway.log()
        assert used(gateway) == before
        assert [ask(gateway, setup.keys["acme"]).status_code for _ in range(2)] == [200] * 2
        await settled(gateway, "acme")
        before = used(gateway)

        garble(gateway)
        os.kill(gateway.pids("valkey")["valkey"], signal.SIGKILL)
        await until(lambda: len(set_aside(gateway)) == 2)
        await until(lambda: gateway.readyz()["ready"])

        def is_back() -> bool:
            try:
                return used(gateway) == before
            except AssertionError:  # the ledger is not connected yet
                return False

        await until(is_back)
        statuses = [ask(gateway, setup.keys["acme"]).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
