"""What an application of Anthropic's SDK is refused with: the classes, types and ids that it knows."""

import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from limited import Limited, counters_of, limited
from running_gateway import RunningGateway, running_gateway
from tenants import ACME_MODELS, ASK, CHAT, Keys, chat
from upstreams import Engine, refused_address

MESSAGES = "/v1/messages"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def message(model: str = "chat", **more: Any) -> dict[str, Any]:
    """A request of Anthropic's API."""
    return {"model": model, "messages": ASK, "max_tokens": 16, **more}


def sdk_for(gateway: RunningGateway, **credentials: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, max_retries=0, timeout=20, **credentials)


@pytest.fixture
def sdk(gateway: RunningGateway, keys: Keys) -> Iterator[anthropic.Anthropic]:
    with sdk_for(gateway, api_key=keys.acme) as client:
        yield client


def error_of(reply: httpx2.Response, status: int, kind: str, code: str | None, source: str = "gateway") -> str:
    """The message of an error whose form is checked on the way."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == source
    assert UUID.fullmatch(reply.headers["x-request-id"])
    body = reply.json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["error"].get("details", {}).get("error_code") == code
    text: str = body["error"]["message"]
    assert text
    return text


def known(caught: anthropic.APIStatusError, kind: str, code: str | None) -> str:
    """The message, as the SDK hands it over."""
    assert (caught.type, caught.error_code) == (kind, code)
    assert UUID.fullmatch(caught.request_id or "")
    assert caught.request_id == caught.response.headers["x-request-id"]
    assert caught.api_message
    return caught.api_message


def test_a_wrong_key(gateway: RunningGateway, keys: Keys) -> None:
    for credentials in ({"api_key": keys.unknown}, {"auth_token": "wrong"}):
        with sdk_for(gateway, **credentials) as client, pytest.raises(anthropic.AuthenticationError) as caught:
            client.messages.create(**message())
        assert known(caught.value, "authentication_error", "invalid_api_key") == "Incorrect API key provided."


def test_no_key(gateway: RunningGateway) -> None:
    for path in (MESSAGES, f"{MESSAGES}/count_tokens", "/tenants/acme/v1/messages?beta=true"):
        text = error_of(gateway.post(path, message(), None), 401, "authentication_error", None)
        assert "`x-api-key`" in text


def test_another_tenant(gateway: RunningGateway, keys: Keys) -> None:
    with anthropic.Anthropic(base_url=f"{gateway.url}/tenants/globex", api_key=keys.acme, max_retries=0) as client:
        with pytest.raises(anthropic.PermissionDeniedError) as caught:
            client.messages.create(**message())
        known(caught.value, "permission_error", "tenant_mismatch")


def test_a_model_that_there_is_not(sdk: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        sdk.messages.create(**message("claude-nothing"))
    assert "'claude-nothing'" in known(caught.value, "not_found_error", "model_not_found")
    with pytest.raises(anthropic.NotFoundError) as caught:
        sdk.models.retrieve("claude-nothing")
    known(caught.value, "not_found_error", "model_not_found")


def test_mistakes_in_the_body(sdk: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        sdk.messages.create(**message(messages=[]))
    assert "'messages'" in known(caught.value, "invalid_request_error", "invalid_value")
    with pytest.raises(anthropic.BadRequestError) as caught:
        sdk.messages.create(**message(), extra_body={"rag": {}})
    assert "'rag'" in known(caught.value, "invalid_request_error", "unsupported_parameter")
    with pytest.raises(anthropic.BadRequestError) as caught:
        sdk.messages.count_tokens(model="chat", messages=[{"role": "tool", "content": "x"}])  # type: ignore[typeddict-item]
    assert "messages[0].role" in known(caught.value, "invalid_request_error", "invalid_value")


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/count_tokens", f"{MESSAGES}?beta=true"])
def test_no_json(gateway: RunningGateway, keys: Keys, path: str) -> None:
    text = error_of(gateway.post(path, b'{"model": ', keys.acme), 400, "invalid_request_error", "invalid_json")
    assert "line 1, column 11" in text


@pytest.mark.parametrize("size", [2**20 + 1, 2**21 + 2**16])  # refused by ext_proc, and by Envoy before it
def test_a_body_over_the_limit(spare_gateway: RunningGateway, keys: Keys, size: int) -> None:
    with sdk_for(spare_gateway, api_key=keys.acme) as client, pytest.raises(anthropic.ContentTooLargeError) as caught:
        client.messages.create(**message(system="x" * size))
    assert str(2**20) in known(caught.value, "request_too_large", "request_too_large")


def test_paths_that_there_are_not(sdk: anthropic.Anthropic, gateway: RunningGateway, keys: Keys) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        sdk.messages.batches.list()
    assert "/v1/messages/batches" in known(caught.value, "not_found_error", "unknown_url")
    reply = gateway.get(MESSAGES, keys.acme)
    error_of(reply, 405, "invalid_request_error", "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_what_envoy_itself_refuses(gateway: RunningGateway, keys: Keys) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade"}
    reply = gateway.post(MESSAGES, b"", keys.acme, **headers)
    error_of(reply, 403, "invalid_request_error", "gateway_refused")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_down(sdk: anthropic.Anthropic, stream: bool) -> None:
    with pytest.raises(anthropic.ServiceUnavailableError) as caught:
        sdk.messages.create(**message("dead"), stream=stream)
    assert caught.value.response.headers["x-headgate-error-source"] == "provider"
    assert "could not be reached" in known(caught.value, "overloaded_error", "provider_unreachable")


def test_an_answer_has_the_gateways_id_by_the_name_that_its_client_reads(gateway: RunningGateway, keys: Keys) -> None:
    reply = gateway.post(MESSAGES, message(), keys.acme)
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    assert "request-id" not in gateway.post(CHAT, chat(), keys.acme).headers


def test_openais_clients_are_told_as_ever(gateway: RunningGateway, keys: Keys, client: openai.OpenAI) -> None:
    """Whatever headers they send, and whatever the provider's path is."""
    for reply in (
        gateway.post(CHAT, chat(), None, anthropic_version="2023-06-01"),
        gateway.post(CHAT, b"{", keys.acme, anthropic_version="2023-06-01"),
        gateway.post(CHAT, chat("dead"), keys.acme, anthropic_version="2023-06-01"),
        gateway.get("/v1/models/nothing", keys.acme),
    ):
        assert set(reply.json()) == {"error"}
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert "request-id" not in reply.headers
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="dead", messages=ASK)
    assert caught.value.code == "provider_unreachable"


@pytest.fixture(scope="module")
def calm(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, Limited]]:
    """Three requests a minute for acme; behind `misleading` is nobody, at a path like Anthropic's."""
    setup = limited(engine, {"acme": {"rpm": 3}})
    with refused_address() as dead:
        setup.config["providers"]["dead"] = {"api": "openai", "base_url": f"http://{dead}/v1/messages"}
        setup.config["models"]["misleading"] = {"targets": [{"provider": "dead", "model": "x"}]}
        setup.config["tenants"]["free"]["models"] = ["misleading"]
        with running_gateway(tmp_path_factory.mktemp("anthropic-limited"), setup.config, {}) as running:
            yield running, setup


def test_the_rate_limit(calm: tuple[RunningGateway, Limited]) -> None:
    gateway, setup = calm
    with counters_of(gateway) as counters:
        counters.flushall()
    key = setup.keys["acme"]
    for _ in range(3):
        assert gateway.post(CHAT, chat(), key).status_code == 200
    with sdk_for(gateway, api_key=key) as client, pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(**message())
    text = known(caught.value, "rate_limit_error", "rate_limit_exceeded")
    assert "limit 3 requests per minute (rpm), used 3" in text
    headers = caught.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 61
    assert headers["anthropic-ratelimit-requests-limit"] == "3"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["anthropic-ratelimit-requests-reset"])
    assert not [name for name in headers if name.startswith("x-ratelimit")]
    assert json.loads(caught.value.response.text)["request_id"] == caught.value.request_id


def test_a_providers_path_says_nothing_of_the_client(calm: tuple[RunningGateway, Limited]) -> None:
    gateway, setup = calm
    reply = gateway.post(CHAT, chat("misleading"), setup.keys["free"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "provider_unreachable")
    assert "request-id" not in reply.headers


def test_the_models(sdk: anthropic.Anthropic, gateway: RunningGateway, keys: Keys) -> None:
    assert [model.id for model in sdk.models.list()] == ACME_MODELS
    assert [model.id for model in sdk.models.list(limit=2)] == ACME_MODELS  # page by page
    before = sdk.models.list(limit=2, before_id=ACME_MODELS[4])
    assert [model.id for model in before.data] == ACME_MODELS[2:4]
    model = sdk.models.retrieve("vendor/chat-1")
    assert (model.id, model.type, model.display_name, model.lifecycle) == (
        "vendor/chat-1",
        "model",
        "vendor/chat-1",
        "active",
    )
    assert model.created_at.year >= 2026
    assert UUID.fullmatch(model._request_id or "")
    with pytest.raises(anthropic.BadRequestError) as caught:
        sdk.models.list(limit=0)
    assert "'limit'" in known(caught.value, "invalid_request_error", "invalid_value")
    assert gateway.get("/v1/models", keys.acme).json()["object"] == "list"


@pytest.mark.parametrize("credential", ["api_key", "auth_token"])
def test_credentials_however_they_are_sent(gateway: RunningGateway, keys: Keys, credential: str) -> None:
    with sdk_for(gateway, **{credential: keys.acme}) as client:
        assert client.models.list().data
        same, other = ({"x-api-key": key} for key in (keys.acme, keys.globex))
        assert client.models.list(extra_headers=same).data
        with pytest.raises(anthropic.AuthenticationError):
            client.models.list(extra_headers=other)


def test_a_key_in_x_api_key_alone(gateway: RunningGateway, keys: Keys) -> None:
    headers = {"x-api-key": keys.acme, "anthropic-version": "2023-06-01"}
    reply = httpx2.get(f"{gateway.url}/v1/models", headers=headers)
    assert reply.json()["data"][0]["type"] == "model"
