"""OpenAI's Responses API through a real gateway: the SDK's whole surface; ids belong to a tenant and a target."""

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel
from responses_gateway import Setup, end_line, raw, responses_gateway, within
from upstreams import Engine
from wire import Reply, ask, connection, head, post, read_body, read_chunk, read_head, read_reply

from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.openai_spec.spec import problems

URL = "/v1/responses"
CREATED = re.compile(rb'"created_at":\d+')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("counters")) as running:
        yield running


@pytest.fixture(scope="module")
def setup(
    engine: Engine, other_engine: Engine, server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    with responses_gateway(tmp_path_factory.mktemp("responses"), engine, other_engine, server) as running:
        yield running


@pytest.fixture(autouse=True)
def spec(setup: Setup) -> Iterator[None]:
    """Whatever reaches a provider is what OpenAI's own specification allows."""
    before = {line["id"] for line in setup.requests()}
    yield
    for line in setup.requests():
        if line["id"] not in before and line["path"].startswith("/v1/"):
            found = problems(line["method"], line["path"].removeprefix("/v1"), line["body"].encode())
            assert not found, line


@pytest.fixture
def client(setup: Setup) -> Iterator[openai.OpenAI]:
    with setup.sdk() as sdk:
        yield sdk


def test_a_conversation_that_was_translated_goes_on_at_a_provider_with_responses(
    client: openai.OpenAI, setup: Setup
) -> None:
    """What reaches it is what its specification allows, which the fixture `spec` asks."""
    ours = "3f2a9c1e-8b1d-4c55-9d0a-0123456789ab"
    items: list[Any] = [
        {"role": "user", "content": "Hello"},
        {"type": "reasoning", "id": f"rs_{ours}_0", "summary": [], "encrypted_content": "headgate1.e30="},
        {
            "type": "message",
            "id": f"msg_{ours}_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": f"fc_{ours}_2", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "done"},
    ]
    made = client.responses.with_raw_response.create(model="chat", input=items, store=False)
    assert made.headers["x-headgate-dropped"] == "input.reasoning"
    assert made.parse().status == "completed"
    local = [line for line in setup.engines["local"].lines.all() if line["event"] == "request"]
    sent = local[-1]["body"]  # the other engine may have had requests of other tests
    assert ours not in sent
    assert json.loads(sent)["input"][1]["content"] == "Let me look."


def test_a_response_and_all_that_can_be_asked_of_it(client: openai.OpenAI) -> None:
    made = client.responses.create(model="chat", input="Hello there", metadata={"a": "b"}, instructions="Be brief.")
    assert (made.status, made.model, made.metadata) == ("completed", "headgate-simulator", {"a": "b"})
    assert made.id.startswith("resp_")  # the provider's own
    again = client.responses.retrieve(made.id, include=["reasoning.encrypted_content"])
    assert again.to_dict() == made.to_dict()
    items = client.responses.input_items.list(made.id, limit=1, order="asc")
    assert [item.content[0].text for item in items] == ["Hello there"]  # type: ignore[union-attr]
    after = client.responses.create(model="chat", input="And then?", previous_response_id=made.id)
    assert after.previous_response_id == made.id
    assert after.usage
    assert made.usage
    assert after.usage.input_tokens > made.usage.output_tokens
    client.responses.delete(made.id)
    for ask_again in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask_again(made.id)


def test_streams_and_their_helpers(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model="chat", input="Stream this", extra_body={"simulate": {"reasoning": 3}}
    ) as stream:
        kinds = Counter(event.type for event in stream)
        final = stream.get_final_response()
    assert kinds["response.created"] == kinds["response.completed"] == 1
    assert kinds["response.reasoning_text.delta"] == 3
    assert final.output_text
    assert client.responses.retrieve(final.id).output_text == final.output_text
    events = list(client.responses.retrieve(final.id, stream=True, starting_after=4))
    assert [events[0].sequence_number, events[-1].type] == [5, "response.completed"]


def test_tools_and_parsed_answers(client: openai.OpenAI) -> None:
    class Place(BaseModel):
        name: str

    parsed = client.responses.parse(model="chat", input="Where?", text_format=Place)
    assert isinstance(parsed.output_parsed, Place)
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool: Any = {"type": "function", "name": "weather", "parameters": schema, "strict": True}
    called = client.responses.create(model="chat", input="Weather?", tools=[tool])
    (call,) = called.output
    assert (call.type, json.loads(call.arguments).keys()) == ("function_call", {"city"})  # type: ignore[union-attr]
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"}]  # type: ignore[union-attr]
    answer = client.responses.create(model="chat", input=output, previous_response_id=called.id, tools=[tool])
    assert answer.output_text


def test_chat_embeddings_and_models(client: openai.OpenAI) -> None:
    messages: Any = [
        {"role": "developer", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "y"}]},
    ]
    whole = client.chat.completions.create(model="chat", messages=messages, seed=1, metadata={"a": "b"}, store=False)
    assert whole.choices[0].message.content
    with client.chat.completions.stream(model="chat", messages=messages, max_completion_tokens=200) as stream:
        assert stream.get_final_completion().choices[0].message.content
    assert client.completions.create(model="chat", prompt=["a", "b"], echo=True).choices[1].text
    assert len(client.embeddings.create(model="chat", input=["a", "b"], dimensions=8).data) == 2
    assert {model.id for model in client.models.list()} >= {"chat", "pair"}
    assert client.models.retrieve("pair").id == "pair"


def test_the_rest_of_the_surface(setup: Setup, client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="chat", input="one two three")
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 3)
    compacted = client.responses.with_raw_response.compact(model="chat", input="one two three")
    usage = compacted.parse().usage
    line = end_line(setup, compacted)
    assert (line["surface"], line["prompt_tokens"]) == ("responses.compact", usage.input_tokens)
    assert line["completion_tokens"] == usage.output_tokens


@pytest.mark.parametrize("path", [URL, "/tenants/acme/v1/responses"])
@pytest.mark.parametrize("stream", [False, True])
async def test_bytes_are_the_providers(setup: Setup, path: str, stream: bool) -> None:
    simulate = {"tokens": 30, "reasoning": 2, "cached_tokens": 1, "reasoning_tokens": 2, "text": "é😀 " * 40}
    asked = {"model": "chat", "input": "x", "stream": stream, "simulate": simulate}
    body = json.dumps(asked, indent=1).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {setup.keys['acme']}"}
    reply = await ask(setup.gateway.http, post(path, body, headers))
    direct = await setup.engines["local"].direct(URL, body, reply.request_id)
    assert (reply.status, reply.whole) == (200, True)
    assert CREATED.sub(b"", reply.body) == CREATED.sub(b"", direct.body)
    sent = setup.engines["local"].request(reply.request_id)
    assert sent["body"] == body.decode().replace('"chat"', '"up-1"')
    assert "x-headgate-stored" not in reply.headers
    line = setup.gateway.end_line(reply.request_id)
    assert (line["surface"], line["prompt_tokens"], line["completion_tokens"]) == ("responses", 1, 32)
    assert (line["cached_tokens"], line["reasoning_tokens"]) == (1, 2)


@pytest.mark.parametrize("frames", [{"frame_bytes": 7}, {"frames_per_event": 3}, {"coalesce": 5}, {"crlf": True}])
async def test_an_id_is_known_before_its_client_knows_it(setup: Setup, frames: dict[str, Any]) -> None:
    """However the provider cuts its stream: asked for as soon as the first byte of the answer's text is there."""
    body = {
        "model": "chat",
        "input": "x" * 3000,
        "stream": True,
        "simulate": {"tokens": 6, "token_s": 0.02, **frames},
    }
    headers = {"content-type": "application/json", "authorization": f"Bearer {setup.keys['acme']}"}
    async with connection(setup.gateway.http) as (reader, writer):
        writer.write(post(URL, json.dumps(body).encode(), headers))
        reply = await read_head(reader)
        text = b""
        while not (found := re.search(rb'"id":"(resp_[^"]+)"', text)):
            text += await read_chunk(reader)
        path = f"{URL}/{found[1].decode()}"
        async with connection(setup.gateway.http) as (other_reader, other_writer):
            other_writer.write(head("GET", path, {"host": "x", **headers, "connection": "close"}))
            asked = await read_reply(other_reader)
        await read_body(reader, reply)
    assert asked.status == 200
    assert reply.whole
    direct = await setup.engines["local"].direct(URL, json.dumps(body).encode(), reply.request_id)
    assert CREATED.sub(b"", text + reply.body) == CREATED.sub(b"", direct.body)


def test_each_goes_to_the_target_that_made_it(setup: Setup) -> None:
    made = {}
    with setup.sdk() as sdk:
        for number in range(12):
            answer = sdk.responses.with_raw_response.create(model="pair", input="x", stream=number % 2 == 0)
            target = answer.headers["x-headgate-target"]
            text = answer.http_response.read().decode()
            found = re.search(r'"id":"(resp_[^"]+)"', text)
            assert found
            made[found[1]] = target
        assert set(made.values()) == {"local", "other"}
        for response_id, target in made.items():
            for answer in (
                sdk.responses.with_raw_response.retrieve(response_id),
                sdk.responses.input_items.with_raw_response.list(response_id),
                sdk.responses.with_raw_response.create(model="pair", input="y", previous_response_id=response_id),
            ):
                assert (answer.headers["x-headgate-target"], answer.headers["x-headgate-attempts"]) == (target, "1")
        elsewhere = next(name for name, target in made.items() if target == "local")
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.responses.create(model="b", input="y", previous_response_id=elsewhere)
        assert refused.value.code == "previous_response_elsewhere"


def test_another_tenants_response_is_not_there(setup: Setup) -> None:
    with setup.sdk() as mine, setup.sdk("globex") as theirs:
        made = mine.responses.create(model="chat", input="secret")
        before = setup.seen()
        told = []
        for response_id in (made.id, "resp_unknown", "..", "a%2Fb"):
            for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
                reply = raw(setup, method, f"{URL}/{response_id}{path}", "globex")
                assert reply.status_code == 404
                assert reply.headers["x-headgate-error-source"] == "gateway"
                told.append(reply.json()["error"]["message"].replace(response_id, "X"))
            with pytest.raises(openai.BadRequestError) as refused:
                theirs.responses.create(model="chat", input="x", previous_response_id=response_id)
            assert refused.value.code == "previous_response_not_found"
        assert {one for one in told if "with id" in one} == {"Response with id 'X' not found."}
        assert setup.seen() == before  # no provider was asked
        assert mine.responses.retrieve(made.id).id == made.id


def test_what_is_not_stored_is_not_known(setup: Setup, client: openai.OpenAI) -> None:
    made = client.responses.create(model="chat", input="x", store=False)
    assert raw(setup, "GET", f"{URL}/{made.id}").headers["x-headgate-error-source"] == "gateway"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_of_chat_alone_is_translated_to(setup: Setup, client: openai.OpenAI, stream: bool) -> None:
    """Whoever answers for a model: only what its provider keeps is known by its id."""
    answers = set()
    for model in ("converted", *["either"] * 10):
        answer = client.responses.with_raw_response.create(model=model, input="x", stream=stream)
        text, line = answer.http_response.read().decode(), end_line(setup, answer)
        found = re.search(r'"id": ?"(resp_[^"]+)"', text)
        assert found
        kept = raw(setup, "GET", f"{URL}/{found[1]}").status_code == 200
        answers.add((line["target"], kept))
        assert (line["surface"], line["prompt_tokens"]) == ("responses", 1)
        assert line["completion_tokens"] > 30
    assert answers == {("plain", False), ("other", True)}


def test_what_is_asked_again_is_not_counted_again(setup: Setup) -> None:
    with setup.sdk("small") as sdk:
        made = sdk.responses.with_raw_response.create(model="chat", input="one two", max_output_tokens=40)
        assert end_line(setup, made)["prompt_tokens"] == 2
        response_id = made.parse().id
        for surface, answer in (
            ("responses.get", sdk.responses.with_raw_response.retrieve(response_id)),
            ("responses.get", sdk.responses.with_raw_response.retrieve(response_id, stream=True)),
            ("responses.input_items", sdk.responses.input_items.with_raw_response.list(response_id)),
            ("responses.delete", sdk.responses.with_raw_response.delete(response_id)),
        ):
            line = end_line(setup, answer)
            assert (line["surface"], line["model"], line["target"]) == (surface, "chat", "local")
            assert {line[name] for name in ("prompt_tokens", "completion_tokens", "estimated_tokens")} == {None}
            assert line["reserved"] is True  # as a request
            assert "x-ratelimit-remaining-requests" in answer.headers


def test_limits_lower_max_output_tokens(setup: Setup) -> None:
    """Until less than 16 are left, the least that the API takes."""
    lowered = []
    for _ in range(6):
        body = {
            "model": "chat",
            "input": "x",
            "max_output_tokens": 4_000,
            "simulate": {"tokens": 4_000, "token_s": 0},
        }
        body["simulate"]["ttft_s"] = 0  # type: ignore[index]
        reply = raw(setup, "POST", URL, "small", body)
        if reply.status_code == 429:
            break
        assert reply.status_code == 200, reply.text
        sent = json.loads(setup.engines["local"].request(reply.headers["x-request-id"])["body"])["max_output_tokens"]
        assert reply.json()["usage"]["output_tokens"] <= sent <= 4_000
        if "x-headgate-max-tokens" in reply.headers:
            assert int(reply.headers["x-headgate-max-tokens"]) == sent
            lowered.append(sent)
    else:
        raise AssertionError("never refused")
    assert lowered
    assert min(lowered) >= 16


def test_what_is_made_in_the_background(setup: Setup, client: openai.OpenAI) -> None:
    made = client.responses.with_raw_response.create(
        model="chat", input="x", background=True, max_output_tokens=77, extra_body={"simulate": {"ttft_s": 60}}
    )
    line, response = end_line(setup, made), made.parse()
    assert (response.status, response.usage) == ("queued", None)
    assert (line["completion_tokens"], line["estimated_completion_tokens"]) == (None, 77)
    assert line["estimated_tokens"] > 0
    assert client.responses.retrieve(response.id).status == "in_progress"
    assert client.responses.cancel(response.id).status == "cancelled"


async def test_streams_outlive_every_worker(setup: Setup) -> None:
    body = {"model": "chat", "input": "x", "stream": True, "simulate": {"tokens": 100, "token_s": 0.03}}
    headers = {"content-type": "application/json", "authorization": f"Bearer {setup.keys['acme']}"}
    async with connection(setup.gateway.http) as (reader, writer):
        writer.write(post(URL, json.dumps(body).encode(), headers))
        reply = await read_head(reader)
        first = b""
        while b"output_text.delta" not in first:
            first += await read_chunk(reader)
        for pid in setup.gateway.pids("filters-").values():
            os.kill(pid, signal.SIGKILL)
        await read_body(reader, reply)
    assert reply.whole
    assert setup.gateway.end_line(reply.request_id)["completion_tokens"] == 100
    within(lambda: raw(setup, "GET", f"{URL}/resp_{reply.request_id}").status_code == 200)


async def test_many_streams_at_once_are_whole(setup: Setup) -> None:
    async def one(number: int) -> Reply:
        simulate = {"tokens": 40, "token_s": 0.005, "text": f"{number} " * 60, "frames_per_event": 1 + number % 3}
        body = json.dumps({"model": "chat", "input": "y" * (number * 40), "stream": True, "simulate": simulate})
        headers = {"content-type": "application/json", "authorization": f"Bearer {setup.keys['acme']}"}
        reply = await ask(setup.gateway.http, post(URL, body.encode(), headers))
        direct = await setup.engines["local"].direct(URL, body.encode(), reply.request_id)
        assert CREATED.sub(b"", reply.body) == CREATED.sub(b"", direct.body)
        return reply

    replies = await asyncio.gather(*(one(number) for number in range(60)))
    assert {(reply.status, reply.whole) for reply in replies} == {(200, True)}


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_while_the_counters_are_away(setup: Setup, server: ValkeyServer, way: str) -> None:
    """Answers go on, say that they will not be known, and nothing is guessed; what was known is known again."""
    with setup.sdk() as sdk:
        known = sdk.responses.create(model="chat", input="x").id
        time.sleep(1.1)  # Valkey writes its file every second
        if way == "killed":
            server.kill()
        else:
            server.send(signal.SIGSTOP)
        told: list[httpx2.Response] = []

        def is_told() -> bool:
            reply = raw(setup, "POST", URL, body={"model": "chat", "input": "x"})
            assert reply.status_code == 200
            told.append(reply)
            return reply.headers.get("x-headgate-stored") == "false"

        try:
            within(is_told)
            for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
                reply = raw(setup, method, f"{URL}/{known}{path}")
                assert (reply.status_code, reply.json()["error"]["code"]) == (503, "response_ids_unavailable")
        finally:
            if way == "killed":
                server.start()
            else:
                server.send(signal.SIGCONT)
        within(lambda: raw(setup, "GET", f"{URL}/{known}").status_code == 200)
        within(lambda: raw(setup, "GET", f"{URL}/{told[-1].json()['id']}").status_code == 404)
