"""Tokens and client certificates through the real Envoy: who is let in, as whom, and what forged ones are told."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from running_gateway import RunningGateway, free_address, running_gateway
from tenants import ASK, CHAT, PROVIDER_ENV, Keys, chat, configuration
from tls_client import http3, trusting
from upstreams import Engine
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.certificates import Authority
from tests.issuer import Issuer, Signer, claims, serving

WITHIN_S = 90.0  # keys are fetched anew after 30 s at the earliest
SPIFFE = "spiffe://example/batch"


@dataclass(frozen=True)
class Known:
    gateway: RunningGateway
    issuer: Issuer
    config: dict[str, Any]
    https: str
    servers: Authority
    clients: Authority

    def token(self, tenant: str = "acme", signer: Signer | None = None, **more: Any) -> str:
        return self.issuer.token(signer, org={"tenant": tenant}, **more)

    def client(self, *names: str, **more: Any) -> httpx2.Client:
        """One that shows a certificate with these names, or none."""
        pair = self.clients.issue(*names).write(self.gateway.folder, "client") if names else None
        return httpx2.Client(
            base_url=f"https://{self.https}", verify=trusting(self.servers, pair), timeout=20, **more
        )

    def edit(self, auth: dict[str, Any]) -> None:
        """Change `auth`, and wait until it is in force."""
        path = self.gateway.folder / "gateway.yaml"
        before = self.gateway.readyz()["config"]["generation"]
        path.write_text(json.dumps({**json.loads(path.read_text()), "auth": auth}, indent=2))
        until(lambda: self.gateway.readyz()["config"]["generation"] > before)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, engine: Engine, keys: Keys) -> Iterator[Known]:
    folder = tmp_path_factory.mktemp("identity")
    servers, clients, https = Authority("servers"), Authority("clients"), free_address()
    servers.issue("127.0.0.1").write(folder, "server")
    (folder / "clients.pem").write_bytes(clients.pem)
    with serving(Issuer(Signer("RS256", "r"), Signer("ES256", "e"), Signer("EdDSA", "o")), ending="/") as issuer:
        oidc = {"issuer": issuer.url, "audience": "headgate", "tenant_claim": "org.tenant"}
        named = [
            {"san": SPIFFE, "tenant": "acme"},
            {"san": "dns:reports.example", "tenant": "acme", "role": "analyst"},
        ]
        auth = {"oidc": oidc, "clients": named}
        config = {**configuration(keys, engine.address, "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1"), "auth": auth}
        listen = {"address": https, "cert": "server.pem", "key": "server-key.pem", "client_ca": "clients.pem"}
        config["listen"] = {"https": {**listen, "require_client_cert": False, "http3": True}}
        with running_gateway(folder, config, PROVIDER_ENV) as gateway:
            yield Known(gateway, issuer, config, https, servers, clients)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def code_of(reply: httpx2.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.json()["error"]["code"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_sdk_with_a_token(known: Known, number: int) -> None:
    token = known.token(signer=known.issuer.signers[number])
    with openai.OpenAI(base_url=f"{known.gateway.url}/v1", api_key=token, max_retries=0, timeout=20) as sdk:
        reply = sdk.chat.completions.with_raw_response.create(model="chat", messages=ASK)  # type: ignore[arg-type]
        assert "chat" in [model.id for model in sdk.models.list()]
    line = known.gateway.end_line(reply.headers["x-request-id"])
    assert (line["tenant"], line["status"]) == ("acme", 200)
    assert line["key_id"].startswith("oidc_")


def test_tokens_that_are_refused(known: Known) -> None:
    signer, url = known.issuer.signers[1], known.issuer.url
    refused = [
        known.token(exp=int(time.time()) - 100),
        known.token(aud="somebody"),
        Signer("ES256", "e").sign(claims(url, org={"tenant": "acme"})),
        signer.sign(claims("https://elsewhere.example/", org={"tenant": "acme"})),
        known.token()[:-4] + "AAAA",
        "a.b.c",
    ]
    for token in refused:
        reply = known.gateway.post(CHAT, chat(), token)
        assert code_of(reply) == (401, "invalid_token")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["x-headgate-error-source"] == "gateway"
    assert code_of(known.gateway.post(CHAT, chat(), known.token("nowhere"))) == (403, "no_tenant")
    assert code_of(known.gateway.post(CHAT, chat(), known.token("closed"))) == (403, "no_tenant")
    assert code_of(known.gateway.post(CHAT, chat(), known.token(), openai_tenant="globex"))[0] == 403
    metrics = httpx2.get(f"http://{known.gateway.admin_address}/metrics").text
    assert 'headgate_refusals_total{reason="expired_token",server="authz"}' in metrics


def test_keys_are_keys_still(known: Known, keys: Keys) -> None:
    assert known.gateway.post(CHAT, chat(), keys.acme).status_code == 200
    assert code_of(known.gateway.post(CHAT, chat(), keys.unknown)) == (401, "invalid_api_key")


def test_the_issuers_keys_are_fetched_once_and_followed(known: Known) -> None:
    """Two workers and hundreds of junk tokens: one process asks, and only now and then."""
    new, asked = Signer("ES256", "new"), known.issuer.asked.count("/keys")
    known.issuer.signers.append(new)
    junk = Signer("ES256", "junk")
    began = time.monotonic()

    def is_known() -> bool:
        assert known.gateway.post(CHAT, chat(), junk.sign(claims(known.issuer.url))).status_code in (401, 429)
        return known.gateway.post(CHAT, chat(), known.token(signer=new)).status_code == 200

    until(is_known)
    fetches = known.issuer.asked.count("/keys") - asked
    assert 1 <= fetches <= 1 + (time.monotonic() - began) / 25
    known.issuer.mood = "down"
    try:
        assert known.gateway.post(CHAT, chat(), known.token()).status_code == 200
    finally:
        known.issuer.mood = "well"


def test_a_certificate_is_a_caller(known: Known) -> None:
    for http2 in (False, True):
        with known.client(SPIFFE, http2=http2) as client:
            reply = client.post(CHAT, json=chat())
            assert reply.status_code == 200
    line = known.gateway.end_line(reply.headers["x-request-id"])
    assert (line["tenant"], line["key_id"]) == ("acme", SPIFFE)


async def test_a_certificate_over_http3(known: Known) -> None:
    headers, body = {"content-type": "application/json"}, json.dumps(chat()).encode()
    issued = known.clients.issue(SPIFFE)
    assert (await http3(known.https, known.servers, "POST", CHAT, headers, body, issued)).status == 200
    assert (await http3(known.https, known.servers, "POST", CHAT, headers, body)).status == 401
    stranger = Authority("clients").issue(SPIFFE)
    with pytest.raises(ConnectionError):
        await http3(known.https, known.servers, "POST", CHAT, headers, body, stranger)


def test_a_certificate_and_a_credential(known: Known, keys: Keys) -> None:
    with known.client(SPIFFE) as client:
        for credential in (keys.acme, known.token()):
            reply = client.post(CHAT, json=chat(), headers={"api-key": credential})
            assert reply.status_code == 200
            assert known.gateway.end_line(reply.headers["x-request-id"])["key_id"] != SPIFFE
        for credential in (keys.globex, known.token("globex")):
            reply = client.post(CHAT, json=chat("final"), headers={"api-key": credential})
            assert code_of(reply) == (403, "tenant_mismatch")
        assert code_of(client.post(CHAT, json=chat(), headers={"api-key": keys.unknown}))[0] == 401


def test_certificates_that_are_nobodys(known: Known, keys: Keys) -> None:
    with known.client("stranger.example") as client:
        assert code_of(client.post(CHAT, json=chat())) == (401, None)
        assert client.post(CHAT, json=chat(), headers={"api-key": keys.acme}).status_code == 200
    with known.client("reports.example") as client:
        assert code_of(client.post(CHAT, json=chat())) == (403, "role_not_allowed")
    pair = Authority("clients").issue(SPIFFE).write(known.gateway.folder, "foreign")
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"https://{known.https}/v1/models", verify=trusting(known.servers, pair))


@pytest.mark.parametrize("plain", [False, True])
def test_nobody_writes_a_certificate_into_a_header(known: Known, keys: Keys, plain: bool) -> None:
    forged = {"x-forwarded-client-cert": f'By=x;Hash=00;URI={SPIFFE};Subject="CN=x"'}
    forged |= {"x-headgate-client": SPIFFE, "x-ssl-client-cert": SPIFFE}
    with known.client() as client:
        url = f"{known.gateway.url if plain else f'https://{known.https}'}{CHAT}"
        assert code_of(client.post(url, json=chat(), headers=forged)) == (401, None)
        reply = client.post(url, json=chat(), headers={**forged, "api-key": keys.acme})
        assert reply.status_code == 200
        assert known.gateway.end_line(reply.headers["x-request-id"])["key_id"] == "ci"


async def test_a_websocket_needs_more_than_a_certificate(known: Known) -> None:
    pair = known.clients.issue(SPIFFE).write(known.gateway.folder, "socket")
    context = trusting(known.servers, pair)
    url = f"wss://{known.https}/v1/responses"
    with pytest.raises(InvalidStatus) as found:
        async with connect(url, ssl=context):
            pass
    assert found.value.response.status_code == 401
    assert b"WebSocket" in (found.value.response.body or b"")
    async with connect(url, ssl=context, additional_headers={"api-key": known.token()}) as socket:
        await socket.send(json.dumps({"type": "response.create", "model": "nope", "input": "Hi"}))
        assert json.loads(await socket.recv())["error"]["code"] == "model_not_found"


def test_issuers_and_clients_change_by_a_reload(known: Known) -> None:
    auth = known.config["auth"]
    with known.client("late.example") as client:
        assert client.post(CHAT, json=chat()).status_code == 401
        known.edit({**auth, "clients": [*auth["clients"], {"san": "dns:late.example", "tenant": "acme"}]})
        until(lambda: client.post(CHAT, json=chat()).status_code == 200)
        with serving(Issuer()) as other:
            token = other.token(org={"tenant": "acme"})
            second = {"issuer": other.url, "audience": ["x", "headgate"], "tenant_claim": "org.tenant"}
            known.edit({"oidc": [auth["oidc"], second], "clients": auth["clients"]})
            until(lambda: known.gateway.post(CHAT, chat(), token).status_code == 200)
            until(lambda: client.post(CHAT, json=chat()).status_code == 401)
        known.edit(auth)
        assert code_of(known.gateway.post(CHAT, chat(), token)) == (401, "invalid_token")
        assert known.gateway.post(CHAT, chat(), known.token()).status_code == 200


def test_an_issuer_whose_keys_cannot_be_fetched_is_said(known: Known) -> None:
    auth = known.config["auth"]
    away = {"issuer": "http://127.0.0.1:1", "audience": "headgate"}
    assert "issuers" not in known.gateway.readyz()["degraded"]
    known.edit({**auth, "oidc": [auth["oidc"], away]})
    until(lambda: "issuers" in known.gateway.readyz()["degraded"])
    said = known.gateway.readyz()
    assert said["ready"], "requests are answered all the same"
    assert said["parts"]["issuers"]["detail"] == "there are no keys of 1 of 2 issuers: their tokens are refused"
    metrics = httpx2.get(f"http://{known.gateway.admin_address}/metrics", timeout=30).text
    metric = "headgate_issuer_keys_fetched_timestamp_seconds"
    assert f'{metric}{{issuer="http://127.0.0.1:1"}} 0' in metrics
    assert f'{metric}{{issuer="{known.issuer.url}"}} 1' in metrics
    known.edit(auth)
    until(lambda: "issuers" not in known.gateway.readyz()["degraded"])


def test_each_part_says_up_to_where_it_knows_the_database(known: Known) -> None:
    def versions() -> dict[str, str]:
        text = httpx2.get(f"http://{known.gateway.admin_address}/metrics", timeout=30).text
        return dict(re.findall(r'^headgate_directory_version\{part="(\w+)"\} (\S+)$', text, re.MULTILINE))

    until(lambda: len(found := versions()) == 2 and found["filters"] == found["control"] != "0.0")


def test_a_token_is_nowhere_afterwards(known: Known) -> None:
    token = known.token()
    assert known.gateway.post(CHAT, chat(), token).status_code == 200
    assert known.gateway.post(CHAT, chat(), token[:-4] + "AAAA").status_code == 401
    signature = token.rpartition(".")[2][:40].encode()
    holders = [
        path
        for path in known.gateway.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and signature in path.read_bytes()
    ]
    assert holders == []
    assert signature not in known.gateway.admin("/config_dump")


def test_the_files_of_keys_are_private(known: Known) -> None:
    folder: Path = known.gateway.state / "jwks"
    assert oct(folder.stat().st_mode)[-3:] == "700"
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}
