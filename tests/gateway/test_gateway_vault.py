"""Providers' keys from a real OpenBao, and stored ones as control hands them over, through a real Envoy."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
from keyed_provider import KeyedProvider, keyed_provider
from running_gateway import RunningGateway, headgate, running_gateway
from test_gateway_secrets import holders

from headgate.stored_files import stored_file
from headgate.supervise.files import write_atomic
from tests.vault.bao_server import Bao, bao_server, free_port

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@dataclass
class Setup:
    """`vaulted` has its key in Vault, `kept` and `talks` have stored ones, `pool` one of each kind."""

    gateway: RunningGateway
    bao: Bao
    provider: KeyedProvider
    caller: str
    token: str

    def ask(self, name: str, path: str = CHAT) -> httpx2.Response:
        body = {"model": name, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
        return self.gateway.post(path, body, self.caller)

    def key_of(self, name: str) -> str:
        """The key that one request goes with."""
        reply = self.ask(name)
        assert reply.status_code == 200, reply.text
        return self.provider.asked(reply.headers["x-request-id"])[-1]

    def store(self, name: str, field: str, secret: str | None) -> None:
        """As control does."""
        path = self.gateway.state / "secrets" / stored_file(name, field)
        if secret is None:
            path.unlink()
        else:
            write_atomic(path, secret.encode())

    def error(self) -> str:
        return str(self.gateway.readyz()["config"]["error"])


def within(condition: Callable[[], object], within_s: float = 60) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        time.sleep(0.05)


def config_of(bao: Bao, provider: KeyedProvider, caller: str) -> dict[str, Any]:
    root = f"http://{provider.address}"
    entries: dict[str, Any] = {
        "vaulted": {"api": "openai", "base_url": f"{root}/vaulted/v1", "api_key": "vault:secret/openai#key"},
        "kept": {"api": "openai", "base_url": f"{root}/kept/v1", "api_key": "stored"},
        "talks": {"api": "anthropic", "base_url": f"{root}/talks", "api_key": "stored"},
        "pool": {
            "api": "openai",
            "base_url": f"{root}/pool/v1",
            "api_keys": [{"key": "stored", "name": "a"}, {"key": "vault:secret/openai#second", "name": "b"}],
        },
    }
    tenant = {"models": list(entries), "keys": [{"name": "ci", "sha256": sha256(caller.encode()).hexdigest()}]}
    return {
        "providers": entries,
        "models": {name: {"targets": [{"provider": name, "model": "m"}]} for name in entries},
        "tenants": {"acme": tenant},
        "services": {"secrets": {"vault": bao.url, "auth": "token", "token": "env:BAO", "refresh": "500ms"}},
    }


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder, caller = tmp_path_factory.mktemp("vault"), f"hg-{token_urlsafe(32)}"
    with contextlib.ExitStack() as stack:
        bao, provider = stack.enter_context(bao_server(folder)), stack.enter_context(keyed_provider())
        bao.put("openai", key="sk-vault-one", second="sk-vault-second")
        bao.policy("reads", "secret/data/openai: read")
        token = bao.token("reads")
        config = config_of(bao, provider, caller)
        gateway = stack.enter_context(running_gateway(folder, config, {"BAO": token, "VAULT_TOKEN": "hunter2"}))
        yield Setup(gateway, bao, provider, caller, token)


def test_a_key_of_vaults_and_its_next_version_reach_the_provider(setup: Setup) -> None:
    generation = setup.gateway.readyz()["config"]["generation"]
    assert setup.key_of("vaulted") == "sk-vault-one"
    for secret in ("sk-vault-two", "sk-vault-three"):
        setup.bao.put("openai", key=secret, second="sk-vault-second")
        within(lambda new=secret: _keys(setup, "vaulted") == {new})
    assert setup.gateway.readyz()["config"]["generation"] == generation


def test_what_vault_takes_away_stays_in_use_and_is_reported(setup: Setup) -> None:
    before = setup.key_of("vaulted")
    setup.bao.put("openai", second="sk-vault-second")
    within(lambda: "vault:secret/openai: no field key" in setup.error())
    assert setup.key_of("vaulted") == before
    setup.bao.hang()
    try:
        within(lambda: "does not answer in time" in setup.error())
        assert setup.key_of("vaulted") == before
    finally:
        setup.bao.go_on()
    setup.bao.put("openai", key="sk-back", second="sk-vault-second")
    within(lambda: setup.key_of("vaulted") == "sk-back")
    within(lambda: "vault" not in setup.error())


def test_without_its_stored_credential_a_provider_is_asked_nothing(setup: Setup) -> None:
    assert "providers.kept.api_key" in setup.error()
    asked = len(setup.provider.found.requests)
    for name, path in (("kept", CHAT), ("talks", CHAT), ("talks", MESSAGES), ("kept", MESSAGES)):
        reply = setup.ask(name, path)
        error = reply.json()["error"]
        assert reply.status_code == 503
        assert error["message"].startswith("The gateway has no credential for the model's provider.")
        code = error["details"]["error_code"] if path == MESSAGES else error["code"]
        assert code == "provider_credential_missing"
        assert reply.headers["x-headgate-error-source"] == "gateway"
    assert len(setup.provider.found.requests) == asked


def test_a_stored_credential_reaches_its_provider_and_is_gone_when_it_is_deleted(setup: Setup) -> None:
    for secret in ("sk-kept-one", "sk-kept-two", "sk-kept-three"):
        setup.store("kept", "api_key", secret)
        within(lambda new=secret: _keys(setup, "kept") == {new})
    within(lambda: "providers.kept.api_key" not in setup.error())
    setup.store("kept", "api_key", None)
    within(lambda: {setup.ask("kept").status_code for _ in range(8)} == {503})
    assert "providers.kept.api_key" in setup.error()


def _keys(setup: Setup, name: str) -> set[str]:
    """With which keys requests go; many in a row meet each of Envoy's threads."""
    replies = [setup.ask(name) for _ in range(8)]
    if {reply.status_code for reply in replies} != {200}:
        return set()
    return {setup.provider.asked(reply.headers["x-request-id"])[-1] for reply in replies}


def test_in_a_pool_the_keys_that_are_there_are_used(setup: Setup) -> None:
    setup.provider.says[""] = 401
    assert {setup.key_of("pool") for _ in range(8)} == {"sk-vault-second"}
    setup.store("pool", "api_keys/a", "sk-pool-a")
    within(lambda: "sk-pool-a" in {setup.key_of("pool") for _ in range(4)})


def test_a_reload_reads_what_is_new_and_refuses_what_is_not_there(setup: Setup) -> None:
    path = setup.gateway.folder / "gateway.yaml"
    text = path.read_text()
    setup.bao.put("openai", key="sk-back", second="sk-vault-second", third="sk-third")
    generation = setup.gateway.readyz()["config"]["generation"]
    path.write_text(text.replace("secret/openai#key", "secret/openai#fourth"))
    within(lambda: "providers.vaulted.api_key: vault:secret/openai: no field fourth" in setup.error())
    assert setup.key_of("vaulted") == "sk-back"
    setup.bao.put("openai", key="sk-back", second="sk-vault-second", third="sk-third", fourth="sk-fourth")
    within(lambda: setup.gateway.readyz()["config"]["generation"] == generation + 1)  # by itself
    assert setup.key_of("vaulted") == "sk-fourth"
    path.write_text(text)
    within(lambda: setup.gateway.readyz()["config"]["generation"] == generation + 2)
    assert setup.key_of("vaulted") == "sk-back"


def test_no_secret_is_in_the_state_directory_or_in_a_parts_environment(setup: Setup) -> None:
    assert holders(setup.gateway.state, "sk-vault", "sk-back", "sk-kept", "sk-pool", setup.token) == []
    assert not [word for word in ("sk-", setup.token, "hunter2") if word in setup.gateway.log()]
    for name, pid in setup.gateway.pids("").items():
        assert setup.token.encode() not in Path(f"/proc/{pid}/environ").read_bytes(), name
    dump = setup.gateway.admin("/config_dump?include_eds")
    assert b"sk-vault" not in dump


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": "env:NOWHERE"}, "services.secrets.token: environment variable NOWHERE is not set"),
        ({}, "providers.vaulted.api_key: signing in to Vault (token): permission denied"),
        ({"vault": "http://127.0.0.1:1"}, "providers.vaulted.api_key: signing in to Vault (token): Vault cannot be"),
    ],
)
def test_a_start_without_its_secrets_is_refused_in_time(
    tmp_path: Path, setup: Setup, change: dict[str, str], said: str
) -> None:
    config = config_of(setup.bao, setup.provider, setup.caller)
    config["listen"] = {"http": "127.0.0.1:0", "admin": f"127.0.0.1:{free_port()}"}
    config["services"]["secrets"] |= change
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(config))
    began = time.monotonic()
    ended = headgate("up", "-c", str(file), "--state", str(tmp_path / "state"), BAO="s.wrong-hunter2")
    assert time.monotonic() - began < 60
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "hunter2" not in ended.stderr


def test_check_asks_vault_only_when_it_is_told_to(tmp_path: Path, setup: Setup) -> None:
    file = tmp_path / "gateway.yaml"
    config = config_of(setup.bao, setup.provider, setup.caller)
    config["providers"]["kept"]["api_key"] = "vault:secret/openai#nowhere"
    file.write_text(json.dumps(config))
    assert headgate("check", str(file), BAO=setup.token).returncode == 0
    asked = headgate("check", "--vault", str(file), BAO=setup.token)
    assert asked.returncode == 1
    assert "providers.kept.api_key: vault:secret/openai: no field nowhere" in asked.stderr
