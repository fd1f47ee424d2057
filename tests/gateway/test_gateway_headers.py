"""Which headers cross the gateway, in both directions, and which never do."""

import pytest
from running_gateway import RunningGateway
from tenants import ASK, CHAT, COMPLETIONS, EMBEDDINGS, PROVIDER_KEY, Keys, chat
from upstreams import Engine

# All that a provider gets besides `forward_headers`.
FORWARDED = {
    "accept": "application/x-test",
    "openai-beta": "assistants=v2",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=1",
    "user-agent": "a-test/1",
}
KEPT_BACK = {
    "accept-encoding": "gzip, br",
    "cookie": "session=abc",
    "forwarded": "for=1.2.3.4",
    "idempotency-key": "one-account-many-tenants",
    "openai-organization": "org-client",
    "openai-project": "proj-client",
    "openai-tenant": "acme",
    "origin": "https://a.test",
    "referer": "https://a.test/secret",
    "proxy-authorization": "Basic eDp5",
    "te": "trailers",
    "via": "1.1 proxy",
    "x-api-version": "7",
    "x-custom": "custom",
    "x-envoy-expected-rq-timeout-ms": "1",
    "x-envoy-max-retries": "9",
    "x-envoy-original-path": "/x",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-host": "evil.test",
    "x-forwarded-proto": "https",
    "x-headgate-profile": "forged",
    "x-real-ip": "1.2.3.4",
    "x-stainless-lang": "python",
    "x_custom": "underscore",
}
ALWAYS = {"content-length", "content-type", "host", "x-request-id"}


@pytest.mark.parametrize("model", ["chat", "final", "keyed"])
def test_only_documented_headers_reach_a_provider(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine, model: str
) -> None:
    headers = {**FORWARDED, **KEPT_BACK, "x-session-hint": "seven"}
    reply = gateway.post(CHAT, chat(model), keys.acme, **headers)
    assert reply.status_code == 200, reply.text
    request_id = reply.headers["x-request-id"]
    received = (other_engine if model == "keyed" else engine).headers(request_id)
    expected = {**FORWARDED, "content-type": "application/json", "x-request-id": request_id}
    if model == "chat":
        expected["x-session-hint"] = "seven"  # its provider's forward_headers
    if model == "keyed":
        expected["authorization"] = f"Bearer {PROVIDER_KEY}"
    assert {name: value for name, value in received.items() if name in expected} == expected
    assert set(received) == set(expected) | ALWAYS
    assert not [value for value in received.values() if keys.acme in value]


@pytest.mark.parametrize("header", ["api_key", "x_api_key"])
@pytest.mark.parametrize("model", ["chat", "keyed"])
def test_no_credential_of_a_client_reaches_a_provider(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine, model: str, header: str
) -> None:
    reply = gateway.post(CHAT, chat(model), keys.acme, **{header: keys.acme})
    received = (other_engine if model == "keyed" else engine).headers(reply.headers["x-request-id"])
    assert not [value for value in received.values() if keys.acme in value]
    assert {"api-key", "x-api-key"}.isdisjoint(received)
    assert ("authorization" in received) == (model == "keyed")


def test_a_providers_key_reaches_that_provider_alone(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine
) -> None:
    for model in ("keyed", "chat", "keyed", "pair", "prefixed", "final"):
        gateway.post(CHAT, chat(model), keys.acme)
    holders = {
        line["path"]
        for one in (engine, other_engine)
        for line in one.lines.all()
        if line["event"] == "request" and PROVIDER_KEY in str(line)
    }
    assert holders == {CHAT}
    assert not [line for line in engine.lines.all() if PROVIDER_KEY in str(line)]
    for line in other_engine.lines.all():
        if line["event"] == "request" and PROVIDER_KEY in str(line):
            assert gateway.end_line(line["id"].partition("-")[2])["target"] == "keyed"


def test_a_clients_request_id_is_replaced(gateway: RunningGateway, keys: Keys) -> None:
    """Requests are billed by it: a client that could choose it could have many billed as one."""
    forged = ["11111111-2222-4333-8444-555555555555", "forged", "x" * 300]
    replies = [gateway.post(CHAT, chat(), keys.acme, x_request_id=one) for one in forged]
    replies.append(gateway.post(CHAT, b"{", keys.acme, x_request_id=forged[0]))
    ids = {reply.headers["x-request-id"] for reply in replies}
    assert len(ids) == 4
    assert not ids & set(forged)


@pytest.mark.parametrize(
    ("path", "fields"),
    [(CHAT, {"messages": ASK}), (COMPLETIONS, {"prompt": "x"}), (EMBEDDINGS, {"input": "x"})],
)
def test_path_and_host_are_the_providers(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine, path: str, fields: dict[str, object]
) -> None:
    roots = {"chat": (engine, "/v1"), "keyed": (other_engine, "/v1"), "prefixed": (other_engine, "/proxy/openai/v7")}
    for model, (upstream, root) in roots.items():
        for prefix in ("", "/tenants/acme"):
            reply = gateway.post(f"{prefix}{path}?api-version=1&key=x", {"model": model, **fields}, keys.acme)
            request_id = reply.headers["x-request-id"]
            assert upstream.request(request_id)["path"] == root + path.removeprefix("/v1")
            assert upstream.headers(request_id)["host"] == upstream.address
            assert reply.status_code == (404 if model == "prefixed" else 200)


def test_a_client_cannot_speak_to_envoy(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    orders = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-envoy-retry-on": "5xx,retriable-4xx,retriable-status-codes",
        "x-envoy-retriable-status-codes": "400,200",
        "x-envoy-max-retries": "5",
        "x-envoy-hedge-on-per-try-timeout": "true",
        "x-envoy-upstream-alt-stat-name": "x",
        "x-envoy-decorator-operation": "x",
        "x-headgate-profile": "forged",
        "x-headgate-attempts": "9",
    }
    slow = gateway.post(CHAT, chat(simulate={"delay_s": 0.2}), keys.acme, **orders)
    assert (slow.status_code, slow.headers["x-headgate-attempts"]) == (200, "1")
    for status in (400, 500):
        reply = gateway.post(CHAT, chat("pair", simulate={"status": status}), keys.acme, **orders)
        assert reply.headers["x-headgate-attempts"] == ("1" if status == 400 else "2")
    assert engine.has_seen(slow.headers["x-request-id"])


PROVIDERS_OWN = {
    "alt-svc": 'h3=":443"',
    "openai-organization": "org-provider",
    "openai-project": "proj-provider",
    "server": "provider/1",
    "set-cookie": "provider=1",
    "strict-transport-security": "max-age=1",
    "via": "1.1 provider",
    "x-envoy-upstream-service-time": "5",
    "x-headgate-dropped": "forged",
    "x-headgate-max-tokens": "forged",
    "x-headgate-attempts": "forged",
    "x-headgate-target": "forged",
    "x-headgate-error-source": "forged",
    "x-headgate-anything": "forged",
    "x-headgate-profile": "forged",
    "x-powered-by": "provider",
    "x-ratelimit-remaining-tokens": "5",
    "x-request-id": "forged",
}


@pytest.mark.parametrize("status", [None, 429, 500])
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_provider_says_about_itself_stays_here(
    gateway: RunningGateway, keys: Keys, stream: bool, status: int | None
) -> None:
    wish = {"headers": {**PROVIDERS_OWN, "openai-processing-ms": "12"}} | ({"status": status} if status else {})
    reply = gateway.post(CHAT, chat("keyed", stream=stream, simulate=wish), keys.acme)
    assert reply.status_code == (status or 200)
    assert reply.headers["x-headgate-target"] == "keyed"
    assert reply.headers["x-headgate-attempts"] == "1"
    assert reply.headers.get("x-headgate-error-source") == ("provider" if status else None)
    assert reply.headers["server"] == "headgate"
    passed = {name for name, value in PROVIDERS_OWN.items() if value in reply.headers.get_list(name)}
    assert passed == set()
    ours = {name for name in reply.headers if name.startswith("x-headgate-")}
    assert ours <= {"x-headgate-target", "x-headgate-attempts", "x-headgate-error-source"}
    assert not [name for name in reply.headers if name.startswith("x-envoy-")]


def test_an_answer_of_ours_names_no_target(gateway: RunningGateway, keys: Keys) -> None:
    for reply in (gateway.get("/v1/models", keys.acme), gateway.get("/v1/models", None)):
        assert "x-headgate-target" not in reply.headers
        assert reply.headers["server"] == "headgate"
        assert not [name for name in reply.headers if name.startswith("x-envoy-")]


def test_every_header_comes_once(gateway: RunningGateway, keys: Keys) -> None:
    replies = [
        gateway.post(CHAT, chat(), keys.acme),
        gateway.post(CHAT, chat(simulate={"status": 500}), keys.acme),
        gateway.post(CHAT, chat("dead"), keys.acme),
        gateway.post(CHAT, b"{", keys.acme),
        gateway.get("/v1/models", keys.acme),
        gateway.get("/v1/models", None),
    ]
    for reply in replies:
        names = [name for name, _ in reply.headers.multi_items()]
        assert len(names) == len(set(names)), names
