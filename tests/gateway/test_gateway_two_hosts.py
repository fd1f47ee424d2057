"""Two gateways on one PostgreSQL and one Valkey, as two hosts have them: what one is told, the other does.

And with either store dead: who is known goes on, nobody unknown gets in, and /readyz says what is away.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from secrets import token_urlsafe
from typing import Any, NamedTuple

import httpx2
import pytest
from admin_gateway import PRINTED_ADMIN_KEY
from running_gateway import RunningGateway, running_gateway
from tenants import CHAT, chat
from upstreams import Engine

from headgate.virtual_key import make_key
from tests.control.postgres_server import PostgresServer, postgres_server
from tests.counters.valkey_server import ValkeyServer, valkey_server

DEADLINE_S = 20.0  # a second is what is asked for; the figures are printed
ENV = {"TEST_PEPPER": token_urlsafe(32), "TEST_SERVICE_KEY": token_urlsafe(32)}


class Hosts(NamedTuple):
    """Both gateways, their stores, and the platform's first key."""

    one: RunningGateway
    two: RunningGateway
    postgres: PostgresServer
    valkey: ValkeyServer
    admin_key: str

    def admin(self, gateway: RunningGateway, method: str, path: str, body: Any = None) -> Any:
        """What the admin API of a gateway answers; it must be good."""
        reply = httpx2.request(
            method,
            f"{gateway.url}/admin/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self.admin_key}"},
            timeout=DEADLINE_S,
        )
        assert reply.status_code < 300, (reply.status_code, reply.text)
        return reply.json() if reply.content else None

    def new_tenant(self, name: str) -> str:
        """A tenant that may use `chat`, and a key of its, made on the first host."""
        self.admin(self.one, "POST", "/tenants", {"id": name})
        self.admin(self.one, "PUT", f"/tenants/{name}/grants/chat")
        return self.new_key(name)["key"]  # type: ignore[no-any-return]

    def new_key(self, tenant: str, gateway: RunningGateway | None = None) -> Any:
        return self.admin(gateway or self.one, "POST", f"/tenants/{tenant}/keys", {"name": "k"})


@pytest.fixture(scope="module")
def hosts(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folders = [tmp_path_factory.mktemp(name) for name in ("valkey", "one", "two")]
    with valkey_server(folders[0]) as valkey, postgres_server() as postgres:
        postgres.execute("CREATE DATABASE headgate")
        config = {
            "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
            "models": {"chat": {"targets": [{"provider": "local", "model": "m"}]}},
            "services": {"counters": f"unix://{valkey.socket}", "database": postgres.url("headgate")},
            "auth": {"pepper": "env:TEST_PEPPER", "service_key": "env:TEST_SERVICE_KEY"},
        }
        with running_gateway(folders[1], config, ENV) as one, running_gateway(folders[2], config, ENV) as two:
            seconds_until(lambda: bool(printed(one) + printed(two)))
            (key,) = printed(one) + printed(two)
            seconds_until(lambda: one.readyz()["degraded"] == two.readyz()["degraded"] == [])
            yield Hosts(one, two, postgres, valkey, key)


def printed(gateway: RunningGateway) -> list[str]:
    return PRINTED_ADMIN_KEY.findall(gateway.log())


def status_of(gateway: RunningGateway, key: str) -> int:
    return gateway.post(CHAT, chat(), key).status_code


def seconds_until(condition: Callable[[], bool], says: Callable[[], object] = str) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < DEADLINE_S, says()
        time.sleep(0.01)
    return time.monotonic() - began


def away(gateway: RunningGateway, store: str) -> bool:
    said: Any = gateway.readyz()
    assert said["ready"]
    return store in said["degraded"]


def test_a_key_of_one_host_works_on_the_other_until_it_is_revoked(hosts: Hosts) -> None:
    hosts.new_tenant("made")
    made = hosts.new_key("made")
    took = seconds_until(lambda: status_of(hosts.two, made["key"]) == 200)
    assert status_of(hosts.one, made["key"]) == 200
    hosts.admin(hosts.two, "DELETE", f"/tenants/made/keys/{made['id']}")
    gone = seconds_until(lambda: status_of(hosts.one, made["key"]) == 401)
    assert status_of(hosts.two, made["key"]) == 401
    print(f"a key works on the other host after {took * 1000:.0f} ms, is refused there after {gone * 1000:.0f} ms")  # noqa: T201


def test_without_the_notice_the_other_host_finds_out_by_itself(hosts: Hosts) -> None:
    hosts.new_tenant("silent")
    made = hosts.new_key("silent")
    seconds_until(lambda: status_of(hosts.two, made["key"]) == 200)
    hosts.valkey.kill()
    try:
        hosts.admin(hosts.one, "DELETE", f"/tenants/silent/keys/{made['id']}")
        gone = seconds_until(lambda: status_of(hosts.two, made["key"]) == 401)
    finally:
        hosts.valkey.start()
    print(f"without a notice it is refused on the other host after {gone * 1000:.0f} ms")  # noqa: T201


@pytest.mark.parametrize("store", ["counters", "database"])
def test_with_a_store_dead_who_is_known_goes_on_and_nobody_else_gets_in(hosts: Hosts, store: str) -> None:
    key = hosts.new_tenant(f"known-{store}")
    both = (hosts.one, hosts.two)
    for gateway in both:
        seconds_until(lambda: status_of(gateway, key) == 200)  # noqa: B023
    server: Any = hosts.valkey if store == "counters" else hosts.postgres
    server.kill() if store == "counters" else server.stop()
    try:
        for gateway in both:
            seconds_until(lambda: away(gateway, store), gateway.readyz)  # noqa: B023
            assert status_of(gateway, key) == 200
            assert status_of(gateway, make_key()) == 401
        if store == "database":
            for pid in hosts.two.pids("filters-").values():  # workers that start now know it from the disk
                os.kill(pid, signal.SIGKILL)
            seconds_until(lambda: status_of(hosts.two, key) == 200)
            assert status_of(hosts.two, make_key()) == 401
            reply = httpx2.get(
                f"{hosts.one.url}/admin/v1/tenants",
                headers={"authorization": f"Bearer {hosts.admin_key}"},
                timeout=60,
            )
            assert reply.status_code == 503
            assert reply.headers["content-type"] == "application/problem+json"
    finally:
        server.start()
    for gateway in both:
        seconds_until(lambda: not away(gateway, store), gateway.readyz)  # noqa: B023
    made = hosts.new_key(f"known-{store}", hosts.two)
    seconds_until(lambda: status_of(hosts.one, made["key"]) == 200)
