"""The TLS listener: what it speaks and to whom, and how its certificate is renewed under running connections."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from running_gateway import RunningGateway, free_address, headgate, running_gateway
from tenants import CHAT, PROVIDER_ENV, Keys, chat, configuration
from test_gateway_secrets import holders
from tls_client import http3, served_serial, trusting
from upstreams import Engine

from tests.certificates import DAY, Authority, Issued

RENEWED_WITHIN_S = 15.0  # two seconds are promised; a busy test machine gets more


@dataclass(frozen=True)
class Served:
    """A gateway with TLS, and what it was given."""

    gateway: RunningGateway
    address: str
    authority: Authority
    files: Path  # where its certificate is
    clients: Authority

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def client(self, **more: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, verify=trusting(self.authority), timeout=20, **more)


def served(folder: Path, config: dict[str, Any], **https: Any) -> contextlib.AbstractContextManager[Served]:
    """A gateway whose clients come by TLS alone."""

    @contextlib.contextmanager
    def run() -> Iterator[Served]:
        authority, clients = Authority("servers"), Authority("clients")
        authority.issue("127.0.0.1", "gateway.test").write(folder, "server")
        (folder / "clients.pem").write_bytes(clients.pem)
        address = free_address()
        listen = {"address": address, "cert": "server.pem", "key": "server-key.pem", **https}
        with running_gateway(folder, {**config, "listen": {"http": None, "https": listen}}, PROVIDER_ENV) as gateway:
            yield Served(gateway, address, authority, folder, clients)

    return run()


@pytest.fixture(scope="module")
def config(engine: Engine, keys: Keys) -> dict[str, Any]:
    return configuration(keys, engine.address, "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("tls"), config, http3=True) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("mutual"), config, http3=True, client_ca="clients.pem") as running:
        yield running


def bearer(keys: Keys) -> dict[str, str]:
    return {"authorization": f"Bearer {keys.acme}", "content-type": "application/json"}


@pytest.mark.parametrize("http2", [False, True])
def test_the_same_answers_as_without_tls(tls: Served, keys: Keys, http2: bool) -> None:
    with tls.client(http2=http2, headers=bearer(keys)) as client:
        whole = client.post(CHAT, json=chat())
        stream = client.post(CHAT, json=chat(stream=True, simulate={"tokens": 20}))
        refused = client.post(CHAT, content=b"{", headers={"authorization": ""})
    assert {reply.http_version for reply in (whole, stream, refused)} == {"HTTP/2" if http2 else "HTTP/1.1"}
    assert (whole.status_code, stream.status_code, refused.status_code) == (200, 200, 401)
    assert stream.text.count('"content":"') == 21
    assert stream.text.endswith("data: [DONE]\n\n")
    assert refused.headers["x-headgate-error-source"] == "gateway"
    assert tls.gateway.end_line(stream.headers["x-request-id"])["completion_tokens"] == 20


def test_the_sdk(tls: Served, keys: Keys) -> None:
    with openai.OpenAI(
        base_url=f"{tls.url}/v1",
        api_key=keys.acme,
        http_client=openai.DefaultHttpxClient(verify=trusting(tls.authority)),
    ) as sdk:
        assert "chat" in [model.id for model in sdk.models.list()]


def test_it_says_where_it_is(tls: Served) -> None:
    assert f"base URL   {tls.url}/v1" in tls.gateway.log()
    assert "warning" not in (tls.gateway.state / "log" / "envoy.log").read_text()


def handshake(address: str, context: ssl.SSLContext, name: str | None) -> str | None:
    """The protocol version that was agreed on; raises ssl.SSLError."""
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        return secured.version()


def test_tls_1_3_and_nothing_older(tls: Served) -> None:
    context = trusting(tls.authority)
    assert handshake(tls.address, context, "gateway.test") == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(tls.address, context, "gateway.test")


def test_a_client_that_names_no_server(tls: Served) -> None:
    context = trusting(tls.authority)
    context.check_hostname = False
    assert handshake(tls.address, context, None) == "TLSv1.3"
    assert handshake(tls.address, context, "other.test") == "TLSv1.3"


def test_plain_http_is_not_spoken(tls: Served) -> None:
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://{tls.address}/v1/models")


def test_a_client_cannot_claim_a_certificate(tls: Served, keys: Keys, engine: Engine) -> None:
    claim = {"x-forwarded-client-cert": 'Hash=abc;Subject="CN=somebody"'}
    with tls.client(headers=bearer(keys)) as client:
        reply = client.post(CHAT, json=chat(), headers=claim)
    assert reply.status_code == 200
    assert "somebody" not in str(engine.request(reply.headers["x-request-id"]))


def test_http3_is_offered_on_every_answer(tls: Served, keys: Keys) -> None:
    port = tls.address.rpartition(":")[2]
    with tls.client() as client:
        replies = [client.get("/v1/models", headers=bearer(keys)), client.get("/v1/models"), client.get("/nothing")]
    assert [reply.status_code for reply in replies] == [200, 401, 401]
    assert {reply.headers["alt-svc"] for reply in replies} == {f'h3=":{port}"; ma=86400'}


async def test_http3(tls: Served, keys: Keys) -> None:
    body = json.dumps(chat(stream=True, simulate={"tokens": 50})).encode()
    stream = await http3(tls.address, tls.authority, "POST", CHAT, bearer(keys), body)
    assert (stream.status, stream.whole) == (200, True)
    assert stream.body.count(b'"content":"') == 51
    line = tls.gateway.end_line(stream.headers["x-request-id"])
    assert (line["status"], line["completion_tokens"], line["tenant"]) == (200, 50, "acme")
    refused = await http3(tls.address, tls.authority, "GET", "/v1/models", {})
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (401, None)
    large = json.dumps(chat() | {"padding": "x" * 2**21}).encode()
    assert (await http3(tls.address, tls.authority, "POST", CHAT, bearer(keys), large)).status == 200


async def test_http3_is_not_for_those_who_do_not_trust_it(tls: Served) -> None:
    with pytest.raises(ConnectionError):
        await http3(tls.address, Authority("another"), "GET", "/v1/models", {})


def write_in_place(files: Path, issued: Issued) -> None:
    (files / "server.pem").write_bytes(issued.cert)
    time.sleep(0.3)  # a slow writer: between the two, key and certificate do not belong together
    (files / "server-key.pem").write_bytes(issued.key)


def rename_over(files: Path, issued: Issued) -> None:
    issued.write(files, "new")
    (files / "new-key.pem").rename(files / "server-key.pem")
    (files / "new.pem").rename(files / "server.pem")


def swap_links(files: Path, issued: Issued) -> None:
    """As Kubernetes' volumes and certbot's `live` folder do it."""
    folder = files / f"issue-{issued.serial}"
    folder.mkdir()
    issued.write(folder, "server")
    for name in ("server.pem", "server-key.pem"):
        link = files / f"{name}.link"
        link.symlink_to(folder / name)
        link.rename(files / name)


@pytest.mark.parametrize("renew", [rename_over, write_in_place, swap_links])
def test_a_renewed_certificate_is_served(tls: Served, keys: Keys, renew: Callable[[Path, Issued], None]) -> None:
    with tls.client(headers=bearer(keys)) as client:
        assert client.get("/v1/models").status_code == 200
        before = served_serial(tls.address)
        issued = tls.authority.issue("127.0.0.1", "gateway.test")
        renew(tls.files, issued)
        wait_until(lambda: served_serial(tls.address) == issued.serial)
        assert issued.serial != before
        assert client.get("/v1/models").status_code == 200  # on the connection of the old one
    assert asyncio.run(http3(tls.address, tls.authority, "GET", "/v1/models", bearer(keys))).status == 200


def test_a_pair_that_does_not_belong_together_is_not_taken(tls: Served, keys: Keys) -> None:
    before = served_serial(tls.address)
    issued = tls.authority.issue("127.0.0.1", "gateway.test")
    (tls.files / "server-key.pem").write_bytes(issued.key)
    wait_until(lambda: "listen.https.cert" in json.dumps(tls.gateway.readyz()))
    shown = json.dumps(tls.gateway.readyz())
    assert "is not the key of the first certificate" in shown
    assert "is not the key of the first certificate" in tls.gateway.log()
    assert served_serial(tls.address) == before
    assert tls.gateway.readyz()["ready"] is True  # it serves
    (tls.files / "server.pem").write_bytes(issued.cert)
    wait_until(lambda: served_serial(tls.address) == issued.serial)
    wait_until(lambda: "listen.https.cert" not in json.dumps(tls.gateway.readyz()))


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_certificate_that_is_lost_is_served_on(tls: Served, content: bytes | None) -> None:
    before = served_serial(tls.address)
    kept = (tls.files / "server.pem").read_bytes()
    if content is None:
        (tls.files / "server.pem").unlink()
    else:
        (tls.files / "server.pem").write_bytes(content)
    wait_until(lambda: "listen.https.cert" in json.dumps(tls.gateway.readyz()))
    assert served_serial(tls.address) == before
    (tls.files / "server.pem").write_bytes(kept)
    wait_until(lambda: "listen.https.cert" not in json.dumps(tls.gateway.readyz()))


def test_an_expired_renewal_is_not_taken(tls: Served) -> None:
    before = served_serial(tls.address)
    kept = ((tls.files / "server.pem").read_bytes(), (tls.files / "server-key.pem").read_bytes())
    rename_over(tls.files, tls.authority.issue("127.0.0.1", began=3 * DAY, ends=-DAY))
    wait_until(lambda: "expired at" in json.dumps(tls.gateway.readyz()))
    assert served_serial(tls.address) == before
    (tls.files / "server.pem").write_bytes(kept[0])
    (tls.files / "server-key.pem").write_bytes(kept[1])
    wait_until(lambda: "expired at" not in json.dumps(tls.gateway.readyz()))


def test_a_restarted_envoy_has_the_renewed_certificate(tls: Served) -> None:
    issued = tls.authority.issue("127.0.0.1", "gateway.test")
    rename_over(tls.files, issued)
    wait_until(lambda: served_serial(tls.address) == issued.serial)
    (pid,) = tls.gateway.pids("envoy").values()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: tls.gateway.pids("envoy") and tls.gateway.pids("envoy") != {"envoy": pid})
    wait_until(lambda: serial_or_none(tls.address) == issued.serial)


def test_a_restart_cuts_no_stream_and_serves_the_same_certificate(tls: Served, keys: Keys) -> None:
    answers: list[str] = []

    def ask() -> None:
        with tls.client(http2=True, headers=bearer(keys)) as client:
            answers.append(client.post(CHAT, json=chat(stream=True, simulate={"tokens": 400, "token_s": 0.02})).text)

    running = threading.Thread(target=ask)
    running.start()
    before = served_serial(tls.address)
    found = headgate("restart", "--state", str(tls.gateway.state))
    assert found.returncode == 0, found.stderr
    assert served_serial(tls.address) == before
    running.join()
    assert answers[0].count('"content":"') == 401
    assert answers[0].endswith("data: [DONE]\n\n")


def test_private_keys_are_in_the_secrets_folder_alone(tls: Served) -> None:
    key = (tls.files / "server-key.pem").read_text()
    line = key.splitlines()[1]
    assert holders(tls.gateway.state, line) == []
    assert line not in tls.gateway.log()
    (file,) = [path for path in (tls.gateway.state / "secrets").iterdir() if line in path.read_text()]
    assert file.stat().st_mode & 0o077 == 0
    for path in ("/config_dump?include_eds", "/certs", "/stats", "/listeners?format=json"):
        shown = tls.gateway.admin(path).decode()
        assert line not in shown, path
    assert b"[redacted]" in tls.gateway.admin("/config_dump")
    printed = headgate("render", str(tls.files / "gateway.yaml"), **PROVIDER_ENV)
    assert printed.returncode == 0, printed.stderr
    assert line not in printed.stdout + printed.stderr
    assert "TLSv1_3" in printed.stdout


def test_without_a_certificate_there_is_no_connection(mutual: Served, keys: Keys) -> None:
    with mutual.client(headers=bearer(keys)) as client, pytest.raises(httpx2.TransportError):
        client.get("/v1/models")
    strangers = Authority("clients")  # the same name, another key
    for issued in (strangers.issue("app"), mutual.clients.issue("app", began=3 * DAY, ends=-DAY)):
        pair = issued.write(mutual.files, "stranger")
        context = trusting(mutual.authority, pair)
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{mutual.url}/v1/models", verify=context)


@pytest.mark.parametrize("http2", [False, True])
def test_a_certificate_lets_in_and_a_key_is_needed_on_top(mutual: Served, keys: Keys, http2: bool) -> None:
    context = trusting(mutual.authority, mutual.clients.issue("app").write(mutual.files, "app"))
    with httpx2.Client(base_url=mutual.url, verify=context, http2=http2) as client:
        assert client.get("/v1/models").status_code == 401
        reply = client.post(CHAT, json=chat(), headers={**bearer(keys), "x-forwarded-client-cert": "Hash=forged"})
        assert reply.status_code == 200


async def test_http3_asks_for_the_certificate_too(mutual: Served, keys: Keys) -> None:
    with pytest.raises(ConnectionError):
        await http3(mutual.address, mutual.authority, "GET", "/v1/models", bearer(keys))
    stranger = Authority("clients").issue("app")
    with pytest.raises(ConnectionError):
        await http3(mutual.address, mutual.authority, "GET", "/v1/models", bearer(keys), client=stranger)
    issued = mutual.clients.issue("app")
    reply = await http3(mutual.address, mutual.authority, "GET", "/v1/models", bearer(keys), client=issued)
    assert reply.status == 200


def test_a_new_client_ca_counts_for_new_connections(mutual: Served, keys: Keys) -> None:
    successors = Authority("successors")
    (mutual.files / "clients.pem").write_bytes(mutual.clients.pem + successors.pem)
    context = trusting(mutual.authority, successors.issue("app").write(mutual.files, "successor"))

    def status() -> int | None:
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{mutual.url}/v1/models", headers=bearer(keys), verify=context).status_code
        return None

    wait_until(lambda: status() == 200)
    (mutual.files / "clients.pem").write_bytes(mutual.clients.pem)
    wait_until(lambda: status() is None)


def test_up_refuses_what_check_refuses(tmp_path: Path, config: dict[str, Any]) -> None:
    authority = Authority()
    authority.issue("x").write(tmp_path, "server")
    (tmp_path / "server-key.pem").write_bytes(authority.issue("x").key)
    listen = {"https": {"address": free_address(), "cert": "server.pem", "key": "server-key.pem"}}
    (tmp_path / "gateway.yaml").write_text(json.dumps({**config, "listen": listen}, indent=1))
    for command in (["check"], ["up", "--state", str(tmp_path / "state"), "-c"]):
        found = headgate(*command, str(tmp_path / "gateway.yaml"), **PROVIDER_ENV)
        assert found.returncode == 1
        assert re.search(r"gateway\.yaml:\d+: listen\.https\.key: file .* is not the key of", found.stderr)


def test_a_taken_udp_port_is_named(tmp_path: Path, config: dict[str, Any]) -> None:
    Authority().issue("x").write(tmp_path, "server")
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        https = {"address": address, "cert": "server.pem", "key": "server-key.pem", "http3": True}
        listen = {"https": https, "admin": free_address()}
        (tmp_path / "gateway.yaml").write_text(json.dumps({**config, "listen": listen}, indent=1))
        found = headgate(
            "up", "--state", str(tmp_path / "state"), "-c", str(tmp_path / "gateway.yaml"), **PROVIDER_ENV
        )
    assert found.returncode == 1
    assert f"listen.https: {address} is taken by another process" in found.stderr


def serial_or_none(address: str) -> int | None:
    with contextlib.suppress(OSError):
        return served_serial(address)
    return None


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + RENEWED_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
