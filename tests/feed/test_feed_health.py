"""What the real Envoy finds out about providers reaches the workers: one ledger process, subscribers as workers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headgate.feed.states import State, TargetStates, endpoint_name
from tests.counters.valkey_server import ValkeyServer
from tests.feed.edge import Edge, Engine, NameServer, cluster, edge, name_of, record_parts
from tests.feed.ends import listening, until
from tests.ledger.ledger_process import Ledger

E1, E2 = "20260101T000000-aaaaaa", "20260101T000001-bbbbbb"
CHECKED: dict[str, Any] = {
    "health_checks": [
        {
            "timeout": "1s",
            "interval": "0.1s",
            "no_traffic_interval": "0.1s",
            "unhealthy_threshold": 1,
            "healthy_threshold": 1,
            "http_health_check": {"path": "/health"},
        }
    ]
}
EJECTING: dict[str, Any] = {
    "outlier_detection": {
        "consecutive_5xx": 1,
        "interval": "0.1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "5s",
        "max_ejection_percent": 100,
        "always_eject_one_host": True,
    }
}
ONE_AT_A_TIME: dict[str, Any] = {"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}


@pytest.fixture
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    running.close()


@pytest.fixture
def names() -> Iterator[NameServer]:
    running = NameServer()
    yield running
    running.close()


@pytest.fixture
def ledger(server: ValkeyServer, url: str, tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "state", server.socket)
    yield ledger
    print(ledger.log())  # noqa: T201 - pytest shows it when the test failed
    ledger.close()


def gateway_of(ledger: Ledger) -> str:
    return (ledger.state / "gateway-id").read_text().strip()


def resolved_by(names: NameServer) -> dict[str, Any]:
    resolver = {"socket_address": {"address": "127.0.0.1", "port_value": names.port, "protocol": "UDP"}}
    config = {
        "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        "resolvers": [resolver],
    }
    typed = {"name": "envoy.network.dns_resolver.cares", "typed_config": config}
    return {
        "type": "STRICT_DNS",
        "dns_refresh_rate": "0.1s",
        "dns_lookup_family": "V4_ONLY",
        "typed_dns_resolver_config": typed,
    }


async def sees(states: TargetStates, provider: str, state: State, within_s: float = 60.0) -> float:
    """Wait until the worker sees this provider in this state; the seconds that took."""
    return await until(lambda: states.of(name_of(provider), "m") is state, within_s)


async def test_each_way_to_be_bad_is_seen_and_so_is_its_end(
    ledger: Ledger, url: str, engine: Engine, names: NameServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clusters = [
        cluster("good", engine.port),
        cluster("checked", engine.port, **CHECKED),
        cluster("ejecting", engine.port, **EJECTING),
        cluster("full", engine.port, **ONE_AT_A_TIME),
        cluster("named", engine.port, host="engine.test", **resolved_by(names)),
        cluster("nameless", engine.port, host="nowhere.invalid", type="STRICT_DNS"),
    ]
    took: dict[str, float] = {}
    with edge(tmp_path, E1, *clusters) as envoy:
        record_parts(ledger.state, envoy)
        ledger.start()
        async with listening(url, gateway_of(ledger)) as states:
            took["unresolved"] = await sees(states, "nameless", State.UNRESOLVED)
            for provider in ("good", "checked", "ejecting", "full", "named"):
                assert states.of(name_of(provider), "m") is State.OK, provider

            began = time.monotonic()
            held = threading.Thread(target=envoy.ask, args=("/full/slow",))
            held.start()
            took["saturated"] = await sees(states, "full", State.SATURATED)
            engine.release.set()
            took["not saturated"] = await sees(states, "full", State.OK)
            held.join()

            engine.status = 503
            assert await asyncio.to_thread(envoy.ask, "/ejecting/x") == 503
            took["ejected"] = await sees(states, "ejecting", State.EJECTED)
            took["unhealthy"] = await sees(states, "checked", State.UNHEALTHY)
            engine.status = 200
            took["healthy"] = await sees(states, "checked", State.OK)
            await sees(states, "ejecting", State.OK)

            names.known = False
            took["name gone"] = await sees(states, "named", State.UNRESOLVED)
            names.known = True
            await sees(states, "named", State.OK)
            assert states.of(name_of("good"), "m") is State.OK
            assert states.of(name_of("nameless"), "m") is State.UNRESOLVED
            assert time.monotonic() - began < 60
    with capsys.disabled():
        print("\nseen after " + ", ".join(f"{what} {s * 1000:.0f} ms" for what, s in took.items()))  # noqa: T201


async def test_a_cluster_that_still_has_a_good_endpoint_is_good(
    ledger: Ledger, url: str, engine: Engine, tmp_path: Path
) -> None:
    bad = Engine()
    bad.status = 503
    bad_address = f"127.0.0.1:{bad.port}"
    clusters = [cluster("half", engine.port, bad.port, **CHECKED), cluster("none", bad.port, **CHECKED)]
    clusters += [cluster("ejecting", engine.port, bad.port, **EJECTING)]
    with edge(tmp_path, E1, *clusters) as envoy, ExitStack() as stack:
        stack.callback(bad.close)
        record_parts(ledger.state, envoy)
        ledger.start()
        async with listening(url, gateway_of(ledger)) as states:
            await sees(states, "none", State.UNHEALTHY)
            assert states.of(name_of("half"), "m") is State.OK
            async with asyncio.timeout(60):
                while states.of(endpoint_name(name_of("ejecting"), bad_address), "m") is not State.EJECTED:
                    await asyncio.to_thread(envoy.ask, "/ejecting/x")
                    await asyncio.sleep(0.05)
            assert states.of(name_of("ejecting"), "m") is State.OK
            await until(lambda: states.of(endpoint_name(name_of("half"), bad_address), "m") is State.UNHEALTHY)
            engine.status = 503
            await sees(states, "half", State.UNHEALTHY)


async def test_the_newest_envoy_that_serves_counts(ledger: Ledger, url: str, engine: Engine, tmp_path: Path) -> None:
    bad = Engine()
    bad.status = 503
    with ExitStack() as stack:
        stack.callback(bad.close)
        old: Edge = stack.enter_context(edge(tmp_path, E1, cluster("p", bad.port, **CHECKED)))
        record_parts(ledger.state, old)
        ledger.start()
        async with listening(url, gateway_of(ledger)) as states:
            await sees(states, "p", State.UNHEALTHY)
            new = stack.enter_context(edge(tmp_path, E2, cluster("p", engine.port, **CHECKED)))
            record_parts(ledger.state, old, new)
            await sees(states, "p", State.OK)
            new.kill()
            record_parts(ledger.state, old)
            await sees(states, "p", State.UNHEALTHY)
            old.kill()
            record_parts(ledger.state)
            await sees(states, "p", State.OK)  # nobody knows any more


async def test_a_ledger_that_is_killed_and_comes_back(
    ledger: Ledger, url: str, engine: Engine, tmp_path: Path
) -> None:
    """Meanwhile everything counts as good; its successor knows the gateway's name and tells the same workers."""
    engine.status = 503
    with edge(tmp_path, E1, cluster("p", engine.port, **CHECKED)) as envoy:
        record_parts(ledger.state, envoy)
        ledger.start()
        gateway = gateway_of(ledger)
        async with listening(url, gateway) as states:
            await sees(states, "p", State.UNHEALTHY)
            ledger.kill()
            await sees(states, "p", State.OK)
            ledger.start()
            await sees(states, "p", State.UNHEALTHY)
        assert gateway_of(ledger) == gateway
        ledger.end()
