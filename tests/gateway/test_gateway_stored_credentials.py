"""A provider's credential on its way from the admin API through control, the supervisor and Envoy to the provider."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex, token_urlsafe

import httpx2
import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from keyed_provider import KeyedProvider, keyed_provider
from test_gateway_secrets import holders
from upstreams import Engine

PLACE = "/admin/v1/providers/kept/credentials/api_key"


@dataclass
class Setup:
    admin: AdminGateway
    provider: KeyedProvider
    caller: str

    def ask(self) -> httpx2.Response:
        body = {"model": "kept", "messages": [{"role": "user", "content": "hi"}]}
        return self.admin.gateway.post("/v1/chat/completions", body, self.caller)

    def keys(self) -> set[str]:
        """With which keys requests go; many in a row meet each of Envoy's threads."""
        replies = [self.ask() for _ in range(8)]
        if {reply.status_code for reply in replies} != {200}:
            return set()
        return {self.provider.asked(reply.headers["x-request-id"])[-1] for reply in replies}

    def put(self, secret: str) -> httpx2.Response:
        return self.admin.ask("PUT", PLACE, {"secret": secret}, key=self.admin.admin_key())


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Setup]:
    caller = f"hg-{token_urlsafe(32)}"
    with keyed_provider() as provider:
        entry = {"api": "openai", "base_url": f"http://{provider.address}/kept/v1", "api_key": "stored"}
        tenant = {"models": ["kept"], "keys": [{"name": "ci", "sha256": sha256(caller.encode()).hexdigest()}]}
        config = {
            "providers": {"kept": entry},
            "models": {"kept": {"targets": [{"provider": "kept", "model": "m"}]}},
            "tenants": {"acme": tenant},
        }
        with admin_gateway(tmp_path_factory.mktemp("stored"), engine, **config) as admin:
            yield Setup(admin, provider, caller)


def test_what_is_put_is_sent_and_what_is_deleted_is_not(setup: Setup) -> None:
    assert setup.ask().json()["error"]["code"] == "provider_credential_missing"
    generation = setup.admin.gateway.readyz()["config"]["generation"]
    secrets = [f"sk-{token_hex(12)}" for _ in range(3)]
    took = []
    until(lambda: setup.put(secrets[0]).status_code != 503)  # control has just begun, and makes its first data key
    for secret in secrets:
        answer = setup.put(secret)
        began = time.monotonic()
        assert answer.status_code == 200, answer.text
        assert secret not in answer.text
        until(lambda new=secret: setup.keys() == {new})
        took.append(round(time.monotonic() - began, 2))
    print("in use after", took, "s")  # noqa: T201
    assert setup.admin.ask("DELETE", PLACE, key=setup.admin.admin_key()).status_code == 204
    until(lambda: {setup.ask().status_code for _ in range(8)} == {503})
    assert setup.admin.gateway.readyz()["config"]["generation"] == generation
    assert holders(setup.admin.gateway.state, *secrets) == []
    assert "sk-" not in setup.admin.gateway.log()


def test_a_new_data_key_changes_nothing_for_the_provider(setup: Setup) -> None:
    setup.put("sk-before")
    until(lambda: setup.keys() == {"sk-before"})
    rotated = setup.admin.ask("POST", "/admin/v1/data-keys/rotate", {}, key=setup.admin.admin_key())
    assert (rotated.status_code, rotated.json()) == (200, {"credentials": 1})
    setup.put("sk-after")
    until(lambda: setup.keys() == {"sk-after"})
    assert setup.put("sk-\r\n").status_code == 422
    assert json.loads((Path(setup.admin.gateway.state) / "declared.json").read_text())
