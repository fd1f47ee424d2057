"""The scripted providers themselves, without a gateway: good answers are their API's, bad ones as bad as they say."""

import gzip
import http.client
import json
from collections.abc import Iterator

import anthropic
import openai
import pytest
from provider_ways import CONTEXT_WINDOW, RETRY_AFTER_S, WAYS
from providers import Provider, Providers, providers

ASK = [{"role": "user", "content": "Hi"}]
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@pytest.fixture(scope="module")
def three() -> Iterator[Providers]:
    with providers() as running:
        yield running


@pytest.fixture
def chat(three: Providers) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://{three.engine.address}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk
    three.engine.found.forget()  # the SDK is no gateway: it sends more than one may


@pytest.fixture
def claude(three: Providers) -> Iterator[anthropic.Anthropic]:
    url = f"http://{three.claude.address}{three.claude.root}"
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as sdk:
        yield sdk
    three.claude.found.forget()


def test_good_answers_are_the_sdks(chat: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    whole = chat.chat.completions.create(model="ok#1", messages=ASK)
    assert (whole.choices[0].message.content, whole.usage.total_tokens) == ("Hello from engine.", 14)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = chat.chat.completions.create(model="ok", messages=ASK, **options)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello from engine."
    assert last.usage == whole.usage
    said = claude.messages.create(model="ok", messages=ASK, max_tokens=9)
    assert (said.content[0].text, said.usage.output_tokens) == ("Hello from claude.", 3)
    with claude.messages.stream(model="ok", messages=ASK, max_tokens=9) as stream:
        streamed = stream.get_final_message()
    assert (streamed.content[0].text, streamed.usage, streamed.stop_reason) == (
        said.content[0].text,
        said.usage,
        said.stop_reason,
    )
    assert claude.messages.count_tokens(model="ok", messages=ASK).input_tokens == 11


def test_errors_are_the_sdks(chat: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat.chat.completions.create(model="context_window", messages=ASK)
    assert (refused.value.code, CONTEXT_WINDOW["openai"] in str(refused.value)) == ("context_length_exceeded", True)
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > \d+ maximum"):
        claude.messages.create(model="context_window", messages=ASK, max_tokens=9)
    with pytest.raises(anthropic.RateLimitError) as limited:
        claude.messages.create(model="status_429", messages=ASK, max_tokens=9)
    assert limited.value.response.headers["retry-after"] == str(RETRY_AFTER_S)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(claude.messages.create(model="error_event_later", messages=ASK, max_tokens=9, stream=True))
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(chat.chat.completions.create(model="error_event_first", messages=ASK, stream=True))


SILENT_S = 0.3
SILENCE = "TimeoutError"
BROKEN = {
    "reset_before_headers": "ConnectionResetError",
    "reset_after_headers": "ConnectionResetError",
    "reset_in_answer": "ConnectionResetError",
    "silent": SILENCE,
    "headers_then_silence": SILENCE,
    "silence_in_answer": SILENCE,
}


def outcome(provider: Provider, way: str, stream: bool) -> tuple[int | str, bytes]:
    """The status, or what happened instead, and as much of the body as came."""
    silent = BROKEN.get(way.removesuffix("#x")) == SILENCE
    connection = http.client.HTTPConnection(provider.address, timeout=SILENT_S if silent else 10)
    body = json.dumps({"model": way, "messages": ASK, "max_tokens": 9, "stream": stream})
    received = b""
    try:
        connection.request("POST", provider.root + PATHS[provider.api], body, {"content-type": "application/json"})
        reply = connection.getresponse()
        while part := reply.read1():
            received += part
    except (ConnectionResetError, TimeoutError) as error:
        return type(error).__name__, received
    except http.client.IncompleteRead as error:
        return "IncompleteRead", received + error.partial
    finally:
        connection.close()
    return reply.status, received


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["engine", "claude"])
def test_each_way_is_as_bad_as_it_says(three: Providers, api: str, way: str, stream: bool) -> None:
    provider = three.engine if api == "engine" else three.claude
    found, body = outcome(provider, f"{way}#x", stream)
    context = 400 if way.startswith("context_window") else 200
    expected = BROKEN.get(way) or (int(way.removeprefix("status_")) if way.startswith("status_") else context)
    assert found == expected
    good = outcome(provider, "ok", stream)[1]
    assert (body.replace(b"#x", b"") == good) == (way == "ok")
    if way == "gzip":
        assert gzip.decompress(body).replace(b"gzip#x", b"ok") == good
    if way in ("reset_in_answer", "error_event_later", "truncated") and stream:
        assert good.startswith(body[: body.rindex(b"Hello") + 5].replace(f"{way}#x".encode(), b"ok"))
        assert b" from" not in body
    provider.found.forget()


def test_what_must_not_reach_a_provider_is_noticed(three: Providers) -> None:
    connection = http.client.HTTPConnection(three.prefixed.address, timeout=5)
    fields = {"content-type": "application/json", "x-request-id": "seen"}
    for headers in (fields, fields | {"x-note": f"a {three.claude.key}"}, fields | {"x-api-key": "k"}):
        connection.request("POST", three.prefixed.paths["chat"], json.dumps({"model": "ok"}), headers)
        connection.getresponse().read()
        with pytest.raises(AssertionError):
            three.prefixed.requests("seen")
        three.prefixed.found.forget()
    good = fields | {"authorization": f"Bearer {three.prefixed.key}"}
    connection.request("POST", three.prefixed.paths["chat"], json.dumps({"model": "ok"}), good)
    connection.getresponse().read()
    assert three.asked("seen") == {"prefixed": 1}
    connection.close()
    three.prefixed.found.forget()
