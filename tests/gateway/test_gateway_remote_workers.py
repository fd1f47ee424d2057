"""Filter workers on other hosts: by mutual TLS they get what they need and decide; nobody else calls them."""

import json
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from admin_gateway import PRINTED_ADMIN_KEY
from quotas import shown
from redis import Redis
from remote_workers import GATEWAY, Credentials, RemoteWorker, remote_workers
from running_gateway import RunningGateway, free_address, headgate, running_gateway
from tenants import ASK, CHAT, chat
from upstreams import Engine

from engines.simulator.options import DEFAULT_MODEL
from headgate.contract import QUEUE_POSITION
from headgate.counters.scripts import queue_keys
from headgate.remote.messages import PROTOCOL
from headgate.virtual_key import make_key
from tests.certificates import Authority
from tests.counters.valkey_server import valkey_server
from tests.issuer import Issuer, Signer, serving

DEADLINE_S = 60.0
ENV = {"TEST_PEPPER": token_urlsafe(32), "TEST_SERVICE_KEY": token_urlsafe(32)}


class Setting(NamedTuple):
    """A gateway without a worker of its own, two workers that it has elsewhere, and keys."""

    gateway: RunningGateway
    workers: list[RemoteWorker]
    credentials: Credentials
    issuer: Issuer
    key: str
    admin_key: str

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        reply = httpx2.request(
            method,
            f"{self.gateway.url}/admin/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self.admin_key}"},
            timeout=DEADLINE_S,
        )
        assert reply.status_code < 300, (reply.status_code, reply.text)
        return reply.json() if reply.content else None

    def status(self, key: str) -> int:
        return self.gateway.post(CHAT, chat(), key).status_code

    def statuses(self, key: str, count: int = 8) -> set[int]:
        """Of several requests, so that each worker has its turn in every connection of Envoy's."""
        return {self.status(key) for _ in range(count)}

    def healthy(self) -> int:
        """How many workers Envoy sends calls to."""
        stats = self.gateway.admin("/stats?filter=headgate/filters.membership_healthy&format=json")
        return int(json.loads(stats)["stats"][0]["value"])


@pytest.fixture(scope="module")
def setting(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("remote")
    key, address = f"hg-{token_urlsafe(32)}", free_address()
    credentials = Credentials(folder)
    with (
        valkey_server(tmp_path_factory.mktemp("valkey"), "--port", address.rpartition(":")[2]),
        remote_workers(folder, credentials) as workers,
        serving(Issuer(Signer("ES256", "e"))) as issuer,
    ):
        price = {"input": 1, "output": 1}
        oidc = {"issuer": issuer.url, "audience": "headgate", "tenant_claim": "tenant"}
        config = {
            "providers": {"local": {"api": "openai", "endpoints": [f"http://{engine.address}"]}},
            "engines": {
                "slow": {
                    "kind": "simulator",
                    "endpoints": [f"http://{engine.address}"],
                    "served_name": DEFAULT_MODEL,
                    "max_running": 1,
                }
            },
            "models": {
                "chat": {"targets": [{"provider": "local", "model": "m"}], "price": price},
                "queued": {"targets": [{"provider": "slow", "model": DEFAULT_MODEL}], "queue": {}, "price": price},
            },
            "plans": {"limited": {"monthly_usd": 1000, "concurrency": 50}},
            "tenants": {"acme": {"plan": "limited", "models": ["chat", "queued"], "keys": [one_key(key)]}},
            "auth": {"pepper": "env:TEST_PEPPER", "service_key": "env:TEST_SERVICE_KEY", "oidc": oidc},
            "services": {
                "counters": f"redis://{address}",
                "filters": credentials.of_gateway([worker.address for worker in workers]),
            },
        }
        with running_gateway(folder, config, ENV, workers=None) as gateway:
            until(lambda: bool(PRINTED_ADMIN_KEY.findall(gateway.log())))
            (admin_key,) = PRINTED_ADMIN_KEY.findall(gateway.log())
            yield Setting(gateway, workers, credentials, issuer, key, admin_key)
            for worker in workers:
                assert worker.process
                assert worker.process.poll() is None, worker.log.read_text()


@pytest.fixture(autouse=True)
def both_serve(setting: Setting) -> None:
    """Each test begins with two workers."""
    until(lambda: setting.healthy() == 2)


def one_key(key: str) -> dict[str, str]:
    return {"name": "k", "sha256": sha256(key.encode()).hexdigest()}


def until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < DEADLINE_S
        time.sleep(0.01)
    return time.monotonic() - began


def test_no_worker_runs_here_and_the_sdk_streams_and_settles(setting: Setting) -> None:
    gateway = setting.gateway
    assert gateway.pids("filters-") == {}
    assert gateway.readyz()["parts"]["filters"]["ready"]
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=setting.key, max_retries=0) as sdk:
        reply = sdk.chat.completions.with_raw_response.create(model="chat", messages=ASK, stream=True)
        text = "".join(event.choices[0].delta.content or "" for event in reply.parse() if event.choices)
    assert text
    line = gateway.end_line(reply.headers["x-request-id"])
    assert (line["tenant"], line["status"]) == ("acme", 200)
    assert line["config_generation"] == line["price_generation"] == gateway.readyz()["generation"]
    until(lambda: money(gateway)["reserved"] == "0" != money(gateway)["used"])


def test_requests_wait_there_for_an_engine_that_is_full(setting: Setting) -> None:
    gateway, simulate = setting.gateway, {"tokens": 10_000, "token_s": 0.05}
    counters = json.loads((gateway.folder / "gateway.yaml").read_text())["services"]["counters"]
    body = {**chat("queued", stream=True), "simulate": simulate}
    with Redis.from_url(counters) as valkey, ThreadPoolExecutor() as clients:
        headers = {"authorization": f"Bearer {setting.key}"}
        with httpx2.stream("POST", gateway.url + CHAT, json=body, headers=headers, timeout=DEADLINE_S) as holding:
            assert (holding.status_code, holding.headers.get(QUEUE_POSITION)) == (200, None)
            waiting = clients.submit(gateway.post, CHAT, chat("queued"), setting.key)
            until(lambda: valkey.zcard(queue_keys("slow")[4]) == 1)
        reply = waiting.result()
    assert (reply.status_code, reply.headers[QUEUE_POSITION]) == (200, "1")


def money(gateway: RunningGateway) -> dict[str, Any]:
    return shown(gateway, "acme")["monthly_usd"]


def test_keys_of_the_database_work_there_and_a_revoked_one_does_not(setting: Setting) -> None:
    setting.admin("POST", "/tenants", {"id": "made"})
    setting.admin("PUT", "/tenants/made/grants/chat")
    made = setting.admin("POST", "/tenants/made/keys", {"name": "k"})
    works = until(lambda: setting.status(made["key"]) == 200)
    until(lambda: setting.statuses(made["key"]) == {200})
    setting.admin("DELETE", f"/tenants/made/keys/{made['id']}")
    gone = until(lambda: setting.status(made["key"]) == 401)
    assert setting.statuses(made["key"]) == {401}
    assert setting.statuses(make_key(), 4) == {401}
    print(  # noqa: T201
        f"a new key works elsewhere after {works * 1000:.0f} ms, a revoked one is refused after {gone * 1000:.0f} ms"
    )


def test_tokens_are_known_there_and_a_new_key_of_their_issuer_is_asked_for(setting: Setting) -> None:
    until(lambda: setting.statuses(setting.issuer.token(tenant="acme")) == {200})
    new = Signer("ES256", "new")
    setting.issuer.signers.append(new)
    until(lambda: setting.status(setting.issuer.token(new, tenant="acme")) == 200)
    until(lambda: setting.statuses(setting.issuer.token(new, tenant="acme")) == {200})
    assert setting.status(Signer("ES256", "e").sign({"iss": setting.issuer.url})) == 401


def test_a_reload_waits_for_workers_elsewhere(setting: Setting) -> None:
    gateway, key = setting.gateway, f"hg-{token_urlsafe(32)}"
    path = gateway.folder / "gateway.yaml"
    config = json.loads(path.read_text())
    before = gateway.readyz()["generation"]
    for keys, status in (
        ([one_key(setting.key), {**one_key(key), "name": "more"}], 200),
        ([one_key(setting.key)], 401),
    ):
        config["tenants"]["acme"]["keys"] = keys
        path.write_text(json.dumps(config))
        before += 1
        until(lambda: gateway.readyz()["generation"] == before)  # noqa: B023
        assert setting.statuses(key) == {status}


def test_a_killed_worker_costs_what_was_in_flight_and_comes_back(setting: Setting) -> None:
    worker, other = setting.workers
    with asking(setting) as statuses:
        worker.kill()
        until(lambda: setting.healthy() == 1)
        time.sleep(1)
        at_one = len(statuses)
        worker.start()
        until(lambda: setting.healthy() == 2)
        until(lambda: len(statuses) > at_one + 20)
    # One request at a time: at most the one that was in flight.
    assert [status for status in statuses if status != 200] in ([], [503]), statuses
    other.kill()
    until(lambda: setting.healthy() == 1)
    assert setting.statuses(setting.key) == {200}  # the one that came back has all that it needs
    other.start()


def test_a_worker_that_hangs_is_left_out_until_it_goes_on(setting: Setting) -> None:
    worker = setting.workers[0]
    worker.send(signal.SIGSTOP)
    took = until(lambda: setting.healthy() == 1)
    until(lambda: setting.statuses(setting.key) == {200})  # each of Envoy's threads learns of it by itself
    worker.send(signal.SIGCONT)
    until(lambda: setting.healthy() == 2)
    assert setting.statuses(setting.key) == {200}
    print(f"a worker that hangs is left out after {took:.1f} s")  # noqa: T201


@contextmanager
def asking(setting: Setting) -> Iterator[list[int]]:
    """Requests, one after the other, meanwhile."""
    statuses: list[int] = []
    ends = threading.Event()

    def ask() -> None:
        while not ends.is_set():
            statuses.append(setting.status(setting.key))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        until(lambda: len(statuses) > 3)
        yield statuses
    finally:
        ends.set()
        thread.join()


def test_a_worker_that_hears_nothing_of_its_gateway_takes_no_call(setting: Setting) -> None:
    gateway = setting.gateway
    gateway.process.send_signal(signal.SIGSTOP)  # who hands over; Envoy goes on
    try:
        until(lambda: setting.healthy() == 0)
        assert setting.statuses(setting.key, 3) == {503}
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    until(lambda: setting.healthy() == 2)
    assert setting.statuses(setting.key) == {200}


@pytest.mark.parametrize("certificate", ["nothing", "other", "stranger", "expired"])
@pytest.mark.parametrize("spoken", ["h2", PROTOCOL])
def test_who_is_not_the_gateway_gets_nothing(certificate: str, spoken: str, setting: Setting) -> None:
    assert greeted(setting, certificate, spoken) == b""


def test_the_gateway_gets_something(setting: Setting) -> None:
    """Or the tests above could not fail."""
    assert greeted(setting, "gateway", "h2")


def test_a_connection_ends_when_its_certificate_does(setting: Setting) -> None:
    setting.credentials.gateways.issue(GATEWAY, ends=timedelta(seconds=3)).write(setting.credentials.folder, "brief")
    with connected(setting, setting.workers[0], "brief", "h2") as connection:
        assert connection.recv(100)
        while connection.recv(100):  # GOAWAY, then the end
            pass


def greeted(setting: Setting, certificate: str, spoken: str) -> bytes:
    """What a worker says first to whoever shows this certificate; nothing, when it hangs up."""
    try:
        with connected(setting, setting.workers[0], certificate, spoken) as connection:
            return connection.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b""


@contextmanager
def connected(setting: Setting, worker: RemoteWorker, certificate: str, spoken: str) -> Iterator[ssl.SSLSocket]:
    """A connection to a worker, by one of the certificates."""
    folder, (host, _, port) = setting.credentials.folder, worker.address.rpartition(":")
    context = ssl.create_default_context(cafile=str(folder / "workers-ca.pem"))
    context.set_alpn_protocols([spoken])
    if certificate != "nothing":
        context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}-key.pem")
    with (
        socket.create_connection((host, int(port)), timeout=DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        yield connection


def test_neither_plain_text_nor_older_tls_is_spoken(setting: Setting) -> None:
    folder, (host, _, port) = setting.credentials.folder, setting.workers[0].address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answer = plain.recv(100)
    assert answer[:1] in (b"", b"\x15")  # nothing, or TLS's alert
    context = ssl.create_default_context(cafile=str(folder / "workers-ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "gateway.pem", folder / "gateway-key.pem")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=host)


def test_certificates_that_are_renewed_on_disk_are_used(setting: Setting) -> None:
    serials = {worker.address: serial_of(setting, worker) for worker in setting.workers}
    renewed = setting.credentials.renew()
    assert renewed not in serials.values()
    for worker in setting.workers:
        until(lambda: serial_of(setting, worker) == renewed)  # noqa: B023
    assert setting.statuses(setting.key) == {200}
    worker = setting.workers[0]
    worker.kill()  # Envoy and the gateway connect anew, by their new one
    worker.start()
    until(lambda: setting.healthy() == 1)
    until(lambda: setting.healthy() == 2)
    assert setting.statuses(setting.key) == {200}


def test_callers_of_a_ca_that_was_taken_out_are_refused_without_a_restart(setting: Setting) -> None:
    path = setting.credentials.folder / "gateways-ca.pem"
    before = path.read_bytes()
    assert greeted(setting, "gateway", "h2")
    try:
        path.write_bytes(Authority("others").pem)
        until(lambda: greeted(setting, "gateway", "h2") == b"")
        until(lambda: setting.healthy() == 0)  # connections that live end, too
    finally:
        path.write_bytes(before)
    until(lambda: bool(greeted(setting, "gateway", "h2")))
    until(lambda: setting.healthy() == 2)


def serial_of(setting: Setting, worker: RemoteWorker) -> int:
    """Of the certificate that a worker shows to a new connection."""
    try:
        with connected(setting, worker, "gateway", "h2") as connection:
            found: Any = connection.getpeercert()
            return int(found["serialNumber"], 16)
    except (ssl.SSLError, ConnectionError):
        return 0  # one half is written, the other not yet


def test_nothing_that_was_handed_over_is_on_the_workers_disk(setting: Setting) -> None:
    for worker in setting.workers:
        assert [path.name for path in worker.state.rglob("*") if path.is_file()] == ["lock"]
        text = worker.log.read_text()
        assert not [secret for secret in (*ENV.values(), setting.key, setting.admin_key) if secret in text]


def test_a_second_worker_in_one_state_folder_is_refused(setting: Setting) -> None:
    taken = setting.workers[0].state
    options = ("--address", free_address(), "--state", str(taken), *setting.credentials.of_worker())
    done = headgate("serve", "filters", *options)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        f"{taken}: somebody else works in this state folder: each worker needs one of its own, --state",
    )


def test_a_full_disk_of_the_gateways_is_known_there(setting: Setting) -> None:
    path = setting.gateway.folder / "gateway.yaml"
    before = path.read_text()
    free = shutil.disk_usage(setting.gateway.state).free
    config = json.loads(before) | {"spool": {"min_free": min(2 * free, 2**40)}}
    try:
        path.write_text(json.dumps(config))
        until(lambda: setting.status(setting.key) == 503)
    finally:
        path.write_text(before)
    until(lambda: setting.statuses(setting.key) == {200})
