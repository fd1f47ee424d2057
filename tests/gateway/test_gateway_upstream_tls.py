"""Providers behind TLS: verified by CA, name and date, and shown who we are; a refusal tells clients no details."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running_gateway import RunningGateway, running_gateway
from tenants import ASK, CHAT, Keys
from test_gateway_secrets import holders
from tls_engine import EVENTS, TlsEngine, tls_engine

from tests.certificates import DAY, Authority

RENEWED_WITHIN_S = 60.0


class Setting:
    """The gateway, the engines behind it and the authorities that they trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.clients = Authority("engines"), Authority("gateways")
        self.engines: dict[str, TlsEngine] = {}
        self.gateway: RunningGateway
        self.key: str

    def ask(self, model: str, **more: Any) -> httpx2.Response:
        return self.gateway.post(CHAT, {"model": model, "messages": ASK, **more}, self.key)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("upstream-tls")
    made = Setting(folder)
    (folder / "ca.pem").write_bytes(made.authority.pem)
    made.clients.issue("gateway").write(folder, "client")
    Authority("strangers").issue("gateway").write(folder, "stranger")
    client = {"client_cert": "client.pem", "client_key": "client-key.pem"}
    stranger = {"client_cert": "stranger.pem", "client_key": "stranger-key.pem"}
    local = ("localhost", "127.0.0.1")
    with (
        tls_engine(folder, made.authority, *local) as plain,
        tls_engine(folder, made.authority, *local, clients=made.clients) as mutual,
        tls_engine(folder, made.authority, "other.test") as misnamed,
        tls_engine(folder, made.authority, *local, began=3 * DAY, ends=-DAY) as expired,
        tls_engine(folder, Authority("engines"), *local) as foreign,
    ):
        made.engines = {
            "plain": plain,
            "mutual": mutual,
            "misnamed": misnamed,
            "expired": expired,
            "foreign": foreign,
        }
        providers = {
            "plain": _provider(plain, "localhost"),
            "address": _provider(plain, "127.0.0.1"),
            "mutual": _provider(mutual, "localhost", **client),
            "unknown": _provider(mutual, "localhost"),
            "stranger": _provider(mutual, "localhost", **stranger),
            "misnamed": _provider(misnamed, "localhost"),
            "misnamed-address": _provider(misnamed, "127.0.0.1"),
            "expired": _provider(expired, "localhost"),
            "foreign": _provider(foreign, "localhost"),
            "public": {key: value for key, value in _provider(plain, "localhost").items() if key != "ca"},
        }
        config = {
            "providers": providers,
            "models": {name: {"targets": [{"provider": name, "model": "m"}]} for name in providers},
            "tenants": {"acme": {"models": list(providers), "keys": [{"name": "k", "sha256": _digest(keys.acme)}]}},
        }
        with running_gateway(folder, config, {}) as made.gateway:
            made.key = keys.acme
            yield made


def _provider(engine: TlsEngine, host: str, **more: str) -> dict[str, Any]:
    port = engine.address.rpartition(":")[2]
    return {"api": "openai", "endpoints": [f"https://{host}:{port}"], "ca": "ca.pem", **more}


def _digest(key: str) -> str:
    from hashlib import sha256

    return sha256(key.encode()).hexdigest()


@pytest.mark.parametrize(("model", "name"), [("plain", "localhost"), ("address", None), ("mutual", "localhost")])
def test_a_verified_engine_answers(setting: Setting, model: str, name: str | None) -> None:
    reply = setting.ask(model)
    assert (reply.status_code, reply.json()["choices"][0]["message"]["content"]) == (200, "secured")
    engine = setting.engines["mutual" if model == "mutual" else "plain"]
    assert name in engine.names
    assert (engine.serials[-1] is not None) == (model == "mutual")


@pytest.mark.parametrize(
    "model", ["unknown", "stranger", "misnamed", "misnamed-address", "expired", "foreign", "public"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_verified_is_not_spoken_to(setting: Setting, model: str, stream: bool) -> None:
    asked = {name: len(engine.serials) for name, engine in setting.engines.items()}
    reply = setting.ask(model, stream=stream)
    assert reply.status_code in (502, 503)
    assert reply.headers["x-headgate-error-source"] == "provider"
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("server_error", None)
    assert error["code"] in ("provider_unreachable", "provider_disconnected")
    told = reply.text + str(reply.headers)
    for detail in ("TLS", "SSL", "certificate", "CERTIFICATE", "verify", "127.0.0.1", "localhost", "x509", ".pem"):
        assert detail not in told
    assert {name: len(engine.serials) for name, engine in setting.engines.items()} == asked


def test_a_renewed_client_certificate_is_shown_and_no_stream_is_cut(setting: Setting) -> None:
    engine = setting.engines["mutual"]
    streams: list[str] = []
    running = threading.Thread(target=lambda: streams.append(setting.ask("mutual", stream=True).text))
    began = len(engine.serials)
    running.start()
    wait_until(lambda: len(engine.serials) > began)
    issued = setting.clients.issue("gateway")
    issued.write(setting.folder, "client")

    def shown() -> int | None:
        assert setting.ask("mutual").status_code == 200
        return engine.serials[-1]

    wait_until(lambda: shown() == issued.serial)
    running.join()
    assert streams[0].count("data: ") == EVENTS + 1
    assert streams[0].endswith("data: [DONE]\n\n")


def test_a_renewed_ca_counts(setting: Setting) -> None:
    """The engine whose authority nobody knew is trusted once the file has both."""
    assert setting.ask("plain").status_code == 200
    successor = Authority("successors")
    with tls_engine(setting.folder, successor, "localhost") as engine:
        assert engine.address
        (setting.folder / "ca.pem").write_bytes(successor.pem)
        wait_until(lambda: setting.ask("plain").status_code in (502, 503))
        (setting.folder / "ca.pem").write_bytes(successor.pem + setting.authority.pem)
        wait_until(lambda: setting.ask("plain").status_code == 200)


def test_a_broken_renewal_leaves_what_worked(setting: Setting) -> None:
    (setting.folder / "client-key.pem").write_bytes(setting.clients.issue("gateway").key)
    wait_until(lambda: "providers.mutual.client_cert" in json.dumps(setting.gateway.readyz()))
    assert setting.ask("mutual").status_code == 200
    setting.clients.issue("gateway").write(setting.folder, "client")
    wait_until(lambda: "providers.mutual.client_cert" not in json.dumps(setting.gateway.readyz()))


def test_keys_are_in_the_secrets_folder_alone(setting: Setting) -> None:
    line = (setting.folder / "client-key.pem").read_text().splitlines()[1]
    assert holders(setting.gateway.state, line) == []
    for path in ("/config_dump?include_eds", "/certs", "/clusters?format=json"):
        assert line not in setting.gateway.admin(path).decode()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + RENEWED_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
