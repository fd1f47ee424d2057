"""Stored credentials under a key of AWS KMS, through a whole gateway: a KMS on loopback checks each signature."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe

import pytest
from admin_gateway import AdminGateway, admin_gateway, until
from keyed_provider import KeyedProvider, keyed_provider
from secret_search import Search
from upstreams import Engine

from tests.control.kms_server import ACCESS_KEY, REGION, SECRET_KEY, Kms

PLACE = "/admin/v1/providers/kept/credentials/api_key"


@dataclass
class Setup:
    admin: AdminGateway
    provider: KeyedProvider
    kms: Kms
    arn: str
    caller: str

    def status(self) -> int:
        body = {"model": "kept", "messages": [{"role": "user", "content": "hi"}]}
        return self.admin.gateway.post("/v1/chat/completions", body, self.caller).status_code

    def put(self, secret: str) -> int:
        return self.admin.ask("PUT", PLACE, {"secret": secret}, key=self.admin.admin_key()).status_code


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Setup]:
    caller = f"hg-{token_urlsafe(32)}"
    kms = Kms()
    arn = kms.add("headgate")
    environ = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    with keyed_provider() as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        config = {
            "providers": {
                "kept": {"api": "openai", "base_url": f"http://{provider.address}/kept/v1", "api_key": "stored"}
            },
            "models": {"kept": {"targets": [{"provider": "kept", "model": "m"}]}},
            "tenants": {
                "acme": {"models": ["kept"], "keys": [{"name": "ci", "sha256": sha256(caller.encode()).hexdigest()}]}
            },
            "services": {"secrets": {"kms": {"key": "alias/headgate", "region": REGION, "endpoint": kms.url}}},
        }
        with admin_gateway(tmp_path_factory.mktemp("kms"), engine, **config) as admin:
            yield Setup(admin, provider, kms, arn, caller)
    kms.kill()


def test_a_credential_is_wrapped_by_kms_and_reaches_the_provider(setup: Setup) -> None:
    secret = f"sk-{token_urlsafe(24)}"
    assert setup.status() == 503
    until(lambda: setup.put(secret) == 200)  # 503 until the first data key is wrapped
    until(lambda: setup.status() == 200)
    actions = {action for action, _ in setup.kms.asked}
    assert {"DescribeKey", "Encrypt"} <= actions <= {"DescribeKey", "Encrypt", "Decrypt"}
    contexts = [asked["EncryptionContext"] for action, asked in setup.kms.asked if action == "Encrypt"]
    assert {context["purpose"] for context in contexts} == {"headgate data key 1"}
    state = setup.admin.gateway.state
    assert not (state / "identity" / "local-key").exists()
    holding = {str(path) for path, _ in Search({"credential": secret, "AWS key": SECRET_KEY}).below(state)}
    assert {path.split("/")[0] for path in holding} == {"secrets"}, holding
    assert SECRET_KEY not in setup.admin.gateway.log()


def test_a_control_that_starts_anew_opens_what_kms_has_wrapped(setup: Setup) -> None:
    before = sum(action == "Decrypt" for action, _ in setup.kms.asked)
    (pid,) = setup.admin.gateway.pids("control").values()
    os.kill(pid, 15)
    until(lambda: setup.admin.gateway.pids("control").get("control") not in (pid, None))
    until(lambda: sum(action == "Decrypt" for action, _ in setup.kms.asked) > before)
    assert setup.status() == 200


def test_a_kms_that_refuses_stops_no_request(setup: Setup) -> None:
    setup.kms.states[setup.arn] = "Disabled"
    try:
        answer = setup.admin.ask("POST", "/admin/v1/data-keys/rotate", {}, key=setup.admin.admin_key())
        assert (answer.status_code, answer.json()["code"]) == (503, "data_key_away")
        assert setup.status() == 200
        assert setup.admin.gateway.readyz()["ready"]
    finally:
        setup.kms.states.clear()
    answer = setup.admin.ask("POST", "/admin/v1/data-keys/rotate", {}, key=setup.admin.admin_key())
    assert (answer.status_code, answer.json()) == (200, {"credentials": 1})
