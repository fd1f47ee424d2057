"""What an application sees that changed nothing but `base_url` and its key."""

import base64
import json
import struct
from collections.abc import AsyncIterator

import openai
import pytest
from running_gateway import RunningGateway
from tenants import ACME_MODELS, ASK, Keys
from upstreams import Engine

SIMULATED = "This is a simulated answer. You asked: “Why is water wet?”."
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2, "maximum": 7}},
            "required": ["city", "days"],
        },
    },
}
FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"wet": {"type": "boolean"}, "why": {"type": "string"}},
            "required": ["wet", "why"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
async def async_client(gateway: RunningGateway, keys: Keys) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=keys.acme, max_retries=0, timeout=20) as sdk:
        yield sdk


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="chat", messages=ASK)
    assert reply.choices[0].message.content.startswith(SIMULATED)
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens == 4
    assert reply.usage.total_tokens == 4 + reply.usage.completion_tokens


@pytest.mark.parametrize("model", ["chat", "final", "plain", "keyed", "vendor/chat-1"])
def test_a_stream_says_what_the_reply_says_and_nothing_about_usage(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=ASK).choices[0].message.content
    chunks = list(client.chat.completions.create(model=model, messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not [chunk for chunk in chunks if chunk.usage or "usage" in chunk.model_fields_set]


@pytest.mark.parametrize("model", ["chat", "final", "plain", "keyed"])
def test_usage_is_in_the_last_chunk_alone_when_asked_for(client: openai.OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=ASK)
    stream = client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage == whole.usage
    assert not [chunk for chunk in chunks if chunk.usage]


def test_tools(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="chat", messages=ASK, tools=[WEATHER], tool_choice="required")
    call = reply.choices[0].message.tool_calls[0]
    assert (reply.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert set(json.loads(call.function.arguments)) == {"city", "days"}
    answer = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    after = client.chat.completions.create(model="chat", messages=[*ASK, reply.choices[0].message, answer])
    assert after.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ["chat", "final"])
def test_tools_streamed(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=ASK, tools=[WEATHER]) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city", "days"}


def test_structured_output(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="chat", messages=ASK, response_format=FORM)
    answer = json.loads(reply.choices[0].message.content)
    assert isinstance(answer["wet"], bool)
    assert isinstance(answer["why"], str)


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_embeddings(client: openai.OpenAI, options: dict[str, str]) -> None:
    reply = client.embeddings.create(model="chat", input=["water", "stone"], **options)
    vectors = [_vector(item.embedding) for item in reply.data]
    assert [item.index for item in reply.data] == [0, 1]
    assert all(sum(x * x for x in vector) == pytest.approx(1, abs=1e-3) for vector in vectors)
    assert vectors[0] != vectors[1]
    assert reply.usage.prompt_tokens == 2


def _vector(embedding: list[float] | str) -> list[float]:
    if isinstance(embedding, list):
        return embedding
    raw = base64.b64decode(embedding)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


@pytest.mark.parametrize("model", ["chat", "final"])
def test_completions(client: openai.OpenAI, model: str) -> None:
    reply = client.completions.create(model=model, prompt="Once upon", max_tokens=7)
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("length", 7)
    stream = client.completions.create(model=model, prompt="Once upon", max_tokens=7, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == reply.choices[0].text
    assert not [chunk for chunk in chunks if chunk.usage]


def test_models_are_those_of_the_tenant(gateway: RunningGateway, client: openai.OpenAI, keys: Keys) -> None:
    assert sorted(model.id for model in client.models.list()) == sorted(ACME_MODELS)
    for key, models in ((keys.globex, ["final", "keyed"]), (keys.resident, ["chat"])):
        listed = client.with_options(api_key=key).models.list()
        assert sorted(model.id for model in listed) == models
    assert gateway.get("/v1/models", keys.acme).json()["object"] == "list"


def test_a_model_is_found_by_its_id_with_a_slash_escaped_or_not(
    gateway: RunningGateway, client: openai.OpenAI, keys: Keys
) -> None:
    model = client.models.retrieve("vendor/chat-1")
    assert (model.id, model.object, model.owned_by) == ("vendor/chat-1", "model", "headgate")
    for path in ("/v1/models/vendor/chat-1", "/v1/models/vendor%2Fchat-1", "/v1/models/vendor%2fchat-1"):
        assert gateway.get(path, keys.acme).json() == model.model_dump(exclude_none=True)
    with pytest.raises(openai.NotFoundError) as missing:
        client.with_options(api_key=keys.globex).models.retrieve("vendor/chat-1")
    assert missing.value.code == "model_not_found"


async def test_the_asynchronous_client(async_client: openai.AsyncOpenAI) -> None:
    whole = await async_client.chat.completions.create(model="chat", messages=ASK)
    stream = await async_client.chat.completions.create(model="final", messages=ASK, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == whole.choices[0].message.content
    embedded = await async_client.embeddings.create(model="chat", input="water")
    assert len(embedded.data[0].embedding) == 384
    assert [model.id async for model in await async_client.models.list()]
    assert (await async_client.models.retrieve("vendor/chat-1")).id == "vendor/chat-1"
    completion = await async_client.completions.create(model="chat", prompt="Once", max_tokens=3)
    assert completion.usage.completion_tokens == 3


def test_a_base_url_with_the_tenant_in_it(gateway: RunningGateway, client: openai.OpenAI) -> None:
    with client.with_options(base_url=f"{gateway.url}/tenants/acme/v1") as own:
        assert own.chat.completions.create(model="chat", messages=ASK).choices
        assert len(list(own.chat.completions.create(model="chat", messages=ASK, stream=True))) > 10
        assert own.models.retrieve("vendor/chat-1").id == "vendor/chat-1"
        assert len(own.models.list().data) == len(ACME_MODELS)


@pytest.mark.parametrize("tenant", ["globex", "nobody", "acme2", "ACME", "%61cme%2e"])
def test_a_base_url_with_another_tenant_in_it(gateway: RunningGateway, client: openai.OpenAI, tenant: str) -> None:
    with (
        client.with_options(base_url=f"{gateway.url}/tenants/{tenant}/v1") as other,
        pytest.raises(openai.PermissionDeniedError) as refused,
    ):
        other.chat.completions.create(model="chat", messages=ASK)
    assert refused.value.code == "tenant_mismatch"


def test_the_tenant_in_a_header(client: openai.OpenAI) -> None:
    ask = client.chat.completions.create
    assert ask(model="chat", messages=ASK, extra_headers={"OpenAI-Tenant": "acme"}).choices
    for tenant in ("globex", "", "acme, acme"):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(model="chat", messages=ASK, extra_headers={"OpenAI-Tenant": tenant})
        assert refused.value.code == "tenant_mismatch"


@pytest.mark.parametrize("header", ["api-key", "x-api-key", "Api-Key", "X-API-KEY"])
def test_the_key_in_another_header(gateway: RunningGateway, keys: Keys, header: str, engine: Engine) -> None:
    body = {"model": "chat", "messages": ASK}
    reply = gateway.post("/v1/chat/completions", body, None, **{header: keys.acme})
    assert reply.status_code == 200
    assert header.lower() not in engine.headers(reply.headers["x-request-id"])
