"""Stored chat completions through a real gateway: all that the SDK can ask, for tenants that share an account."""

import json
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from responses_gateway import Setup, end_line, raw, within
from stored_gateway import ids, store, stored_gateway
from upstreams import Engine, refused_address

from tests.counters.valkey_server import ValkeyServer, valkey_server
from tests.openai_spec.spec import problems

URL = "/v1/chat/completions"
ASKED: Any = {"messages": [{"role": "user", "content": "x"}]}
ABOUT = (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("counters")) as running:
        yield running


@pytest.fixture(scope="module")
def setup(
    engine: Engine, other_engine: Engine, server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("stored")
    with refused_address() as dead, stored_gateway(folder, engine, other_engine, dead, server) as running:
        yield running


@pytest.fixture(autouse=True)
def spec(setup: Setup) -> Iterator[None]:
    """Whatever reaches a provider of OpenAI's API is what its specification allows; no answer shows our own pairs."""
    before = {line["id"] for line in setup.requests()}
    yield
    for line in setup.requests():
        if line["id"] not in before and line["path"].startswith("/v1/chat"):
            found = problems(line["method"], line["path"].removeprefix("/v1"), line["body"].encode())
            assert not found, line


@pytest.fixture
def client(setup: Setup) -> Iterator[openai.OpenAI]:
    with setup.sdk() as sdk:
        yield sdk


def drained(sdk: openai.OpenAI, **query: Any) -> None:
    for one in list(sdk.chat.completions.list(**query)):
        sdk.chat.completions.delete(one.id)


def test_all_that_can_be_asked_of_one(setup: Setup, client: openai.OpenAI) -> None:
    messages: Any = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    answer = client.chat.completions.with_raw_response.create(
        model="chat", messages=messages, store=True, metadata={"a": "b"}
    )
    made = answer.parse()
    assert made.id.startswith("chatcmpl-")  # the provider's own
    assert made.metadata == {"a": "b"}
    assert "x-headgate-stored" not in answer.headers
    line = end_line(setup, answer)
    assert (line["surface"], line["prompt_tokens"], line["target"]) == ("chat", 3, "local")
    again = client.chat.completions.retrieve(made.id)
    assert again.to_dict() == made.to_dict()
    listed = client.chat.completions.messages.list(made.id, limit=1, order="asc")
    assert [(one.role, one.content) for one in listed] == [("developer", "Be brief."), ("user", "Hello")]
    changed = client.chat.completions.update(made.id, metadata={"c": "d", "é": "😀"})
    assert changed.metadata == {"c": "d", "é": "😀"}
    assert changed.choices == made.choices
    assert ids(client.chat.completions.list(model="chat", metadata={"é": "😀"})) == [made.id]
    assert client.chat.completions.update(made.id, metadata=None).metadata == {}
    assert made.id in ids(client.chat.completions.list(model="chat"))
    assert client.chat.completions.delete(made.id).deleted
    for ask_again in (client.chat.completions.retrieve, client.chat.completions.delete):
        with pytest.raises(openai.NotFoundError):
            ask_again(made.id)
    assert made.id not in ids(client.chat.completions.list(model="chat"))


@pytest.mark.parametrize("model", ["chat", "falls"])
def test_streams_are_stored_too(client: openai.OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, **ASKED, store=True, metadata={"s": model}) as stream:
        final = stream.get_final_completion()
    assert client.chat.completions.retrieve(final.id).choices[0].message.content == final.choices[0].message.content
    at = {"x-headgate-target": "local"}
    assert ids(client.chat.completions.list(model=model, metadata={"s": model}, extra_headers=at)) == [final.id]


def test_nothing_of_the_request_is_changed_but_what_is_said(setup: Setup) -> None:
    body = json.dumps({"model": "chat", "store": True, "metadata": {"a": "b"}, **ASKED, "temperature": 1.0}, indent=1)
    reply = setup.gateway.post(URL, body.encode(), setup.keys["acme"])
    sent = setup.engines["local"].request(reply.headers["x-request-id"])["body"]
    ours = re.compile(r',"headgate_(tenant|model)":"[0-9a-f]{32}"')
    assert len(ours.findall(sent)) == 2
    assert ours.sub("", sent) == body.replace('"chat"', '"up-1"')
    assert b"headgate_" not in reply.content
    for unstored in ({}, {"store": False}, {"store": None}):
        body = json.dumps({"model": "chat", "metadata": {"a": "b"}, **ASKED, **unstored})
        reply = setup.gateway.post(URL, body.encode(), setup.keys["acme"])
        sent = setup.engines["local"].request(reply.headers["x-request-id"])["body"]
        assert sent == body.replace('"chat"', '"up-1"')
        assert raw(setup, "GET", f"{URL}/{reply.json()['id']}").headers["x-headgate-error-source"] == "gateway"


def test_no_answer_shows_what_we_add(setup: Setup, client: openai.OpenAI) -> None:
    made = store(client, "chat", metadata={"shown": "1"})
    for path in (f"/{made}", f"/{made}/messages", "?model=chat"):
        reply = raw(setup, "GET", URL + path)
        assert reply.status_code == 200
        assert b"headgate_" not in reply.content
    assert b"headgate_" not in raw(setup, "POST", f"{URL}/{made}", body={"metadata": {}}).content


def test_pages(setup: Setup, client: openai.OpenAI) -> None:
    """Whole pages, although another tenant's completions lie between."""
    made = []
    with setup.sdk("globex") as theirs:
        for number in range(7):
            store(theirs, "alias", metadata={"n": "1"})
            made.append(store(client, "alias", metadata={"n": str(number % 2)}))
    assert ids(client.chat.completions.list(model="alias", limit=3)) == made
    assert ids(client.chat.completions.list(model="alias", limit=2, order="desc")) == made[::-1]
    page = client.chat.completions.list(model="alias", limit=3, after=made[1])
    assert ([one.id for one in page.data], page.has_more) == (made[2:5], True)
    assert ids(client.chat.completions.list(model="alias", metadata={"n": "1"}, limit=1)) == made[1::2]
    drained(client, model="alias")
    assert ids(client.chat.completions.list(model="alias")) == []


def test_tenants_of_one_account_are_apart(setup: Setup) -> None:
    with setup.sdk() as mine, setup.sdk("globex") as theirs, setup.sdk("lone") as lone:
        for sdk in (mine, theirs):
            drained(sdk, model="chat")
        owners = (mine, theirs, lone)
        made = {sdk: [store(sdk, "chat", metadata={"k": "v"}) for _ in range(3)] for sdk in owners for _ in "x"}
        for sdk in owners:
            assert ids(sdk.chat.completions.list(model="chat", limit=2)) == made[sdk]
            assert ids(sdk.chat.completions.list(model="chat", metadata={"k": "v"})) == made[sdk]
        before = setup.seen()
        foreign = made[mine][0]
        for name in (foreign, "chatcmpl-unknown", "..", "a%2Fb"):
            for method, path in ABOUT:
                reply = raw(
                    setup, method, f"{URL}/{name}{path}", "globex", {"metadata": {}} if method == "POST" else None
                )
                assert (reply.status_code, reply.headers["x-headgate-error-source"]) == (404, "gateway"), reply.text
        for name in (foreign, "chatcmpl-unknown"):
            with pytest.raises(openai.NotFoundError) as unknown:
                theirs.chat.completions.list(model="chat", after=name)
            assert unknown.value.code == "completion_not_found"
        with pytest.raises(openai.BadRequestError):
            theirs.chat.completions.list(model="chat", metadata={"headgate_tenant": "x"})
        with pytest.raises(openai.BadRequestError):
            store(theirs, "chat", metadata={"headgate_model": "x"})
        assert setup.seen() == before  # no provider was asked
        assert raw(setup, "GET", f"/v1/responses/{foreign}").status_code == 404  # nor is it a response


def test_a_model_lists_what_it_has_made(setup: Setup) -> None:
    """`chat` and `alias` are the same model at the same provider."""
    with setup.sdk("lone") as sdk:
        drained(sdk)
        chat, alias = store(sdk, "chat"), store(sdk, "alias")
        assert ids(sdk.chat.completions.list(model="chat")) == [chat]
        assert ids(sdk.chat.completions.list(model="alias")) == [alias]
        assert ids(sdk.chat.completions.list()) == [chat, alias]  # the tenant has one such provider
        with pytest.raises(openai.NotFoundError) as unknown:
            sdk.chat.completions.list(model="pair")  # not this tenant's
        assert unknown.value.code == "model_not_found"
        assert ids(sdk.chat.completions.list(model="engine")) == []


def test_whose_list_is_meant(setup: Setup, client: openai.OpenAI) -> None:
    at: dict[str, str] = {}
    while len(at) < 2:
        answer = client.chat.completions.with_raw_response.create(model="pair", **ASKED, store=True)
        at[answer.headers["x-headgate-target"]] = answer.parse().id
    for query in ({}, {"model": "pair"}):
        with pytest.raises(openai.BadRequestError, match="local, other") as refused:
            client.chat.completions.list(**query)  # type: ignore[arg-type]
        assert refused.value.code == "provider_needed"
    for provider, name in at.items():
        chosen = {"x-headgate-target": provider}
        assert name in ids(client.chat.completions.list(model="pair", extra_headers=chosen, limit=1))
        answer = client.chat.completions.with_raw_response.retrieve(name)
        assert answer.headers["x-headgate-target"] == provider
        assert client.chat.completions.list(model="pair", after=name) is not None  # its provider is known
    with pytest.raises(openai.BadRequestError) as unknown:
        client.chat.completions.list(extra_headers={"x-headgate-target": "vllm"})
    assert unknown.value.code == "unknown_target"


def test_providers_that_store_nothing(setup: Setup, client: openai.OpenAI) -> None:
    for model, provider in (("engine", "vllm"), ("claude", "claude")):
        with pytest.raises(openai.BadRequestError, match=f"'store' .*'{provider}'"):
            store(client, model)
    answer = client.chat.completions.with_raw_response.create(model="drops", **ASKED, store=True)
    assert answer.headers["x-headgate-dropped"] == "store"
    made = answer.parse().id
    assert "store" not in json.loads(setup.engines["other"].request(answer.headers["x-request-id"])["body"])
    assert raw(setup, "GET", f"{URL}/{made}").status_code == 404
    with setup.sdk("bare") as bare:
        before = setup.seen()
        page = bare.chat.completions.list()
        assert (page.data, page.has_more, setup.seen()) == ([], False, before)


def test_sixteen_pairs_leave_no_room(setup: Setup, client: openai.OpenAI) -> None:
    """Nothing of the client's goes for ours: such a completion can be asked for, and is on no list."""
    full = {f"k{number}": "v" for number in range(16)}
    for count, listed in ((14, True), (15, False), (16, False)):
        metadata = dict(list(full.items())[:count])
        for stream in (False, True):
            answer = client.chat.completions.with_raw_response.create(
                model="chat", **ASKED, store=True, metadata=metadata, stream=stream
            )
            assert answer.headers.get("x-headgate-stored") == (None if listed else "unlisted")
            found = re.search(r'"id":"(chatcmpl-[^"]+)"', answer.http_response.read().decode())
            assert found
            kept = client.chat.completions.retrieve(found[1])
            assert kept.metadata == metadata
            assert (found[1] in ids(client.chat.completions.list(model="chat"))) == listed
            sent = json.loads(setup.engines["local"].request(answer.headers["x-request-id"])["body"])
            assert len(sent["metadata"]) == (16 if listed else count)
    back = client.chat.completions.update(kept.id, metadata={"a": "b"})
    assert back.metadata == {"a": "b"}
    assert kept.id in ids(client.chat.completions.list(model="chat"))


def test_what_is_asked_again_is_counted_as_requests_alone(setup: Setup) -> None:
    with setup.sdk("small") as sdk:
        made = store(sdk, "chat", max_completion_tokens=40)
        completions = sdk.chat.completions
        for surface, answer in (
            ("chat.get", completions.with_raw_response.retrieve(made)),
            ("chat.update", completions.with_raw_response.update(made, metadata={})),
            ("chat.messages", completions.messages.with_raw_response.list(made)),
            ("chat.list", completions.with_raw_response.list()),
            ("chat.delete", completions.with_raw_response.delete(made)),
        ):
            line = end_line(setup, answer)
            assert (line["surface"], line["model"], line["target"]) == (surface, "chat", "local")
            assert {line[name] for name in ("prompt_tokens", "completion_tokens", "estimated_tokens")} == {None}
            assert line["reserved"] is True
            assert "x-ratelimit-remaining-requests" in answer.headers


async def test_the_sdk_without_waiting(setup: Setup) -> None:
    url = f"{setup.gateway.url}/tenants/lone/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=setup.keys["lone"], max_retries=0, timeout=20) as sdk:
        made = await sdk.chat.completions.create(model="alias", **ASKED, store=True, metadata={"async": "1"})
        found = [one.id async for one in sdk.chat.completions.list(metadata={"async": "1"}, limit=1)]
        assert found == [made.id]
        assert (await sdk.chat.completions.retrieve(made.id)).id == made.id
        assert [one.content async for one in await sdk.chat.completions.messages.list(made.id)] == ["x"]
        assert (await sdk.chat.completions.update(made.id, metadata={})).metadata == {}
        async with sdk.chat.completions.with_streaming_response.retrieve(made.id) as streamed:
            assert made.id in await streamed.text()
        assert (await sdk.chat.completions.delete(made.id)).id == made.id


def test_methods_and_bodies_that_are_none(setup: Setup, client: openai.OpenAI) -> None:
    made = store(client, "chat")
    for method, path, allowed in (
        ("PUT", "", "GET, POST"),
        ("DELETE", "", "GET, POST"),
        ("PUT", f"/{made}", "GET, POST, DELETE"),
        ("POST", f"/{made}/messages", "GET"),
    ):
        reply = raw(setup, method, URL + path)
        assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
    for body, code in ((None, "invalid_content_type"), ({"metadata": 1}, "invalid_type")):
        reply = raw(setup, "POST", f"{URL}/{made}", body=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)
    assert raw(setup, "GET", f"{URL}/{made}/other").json()["error"]["code"] == "unknown_url"


def test_a_model_is_the_operators(setup: Setup, client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.models.delete("chat")
    assert (refused.value.code, refused.value.param) == ("model_not_deletable", "model")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.delete("none")
    assert unknown.value.code == "model_not_found"
    assert raw(setup, "DELETE", "/v1/models").headers["allow"] == "GET"


def test_while_the_counters_are_away(setup: Setup, server: ValkeyServer) -> None:
    """Nobody's list is guessed; answers go on, and say that they will not be known."""
    with setup.sdk() as sdk:
        known = store(sdk, "chat")
        server.send(signal.SIGSTOP)
        try:
            told: list[httpx2.Response] = []

            def is_told() -> bool:
                told.append(raw(setup, "POST", URL, body={"model": "chat", "store": True, **ASKED}))
                assert told[-1].status_code == 200
                return told[-1].headers.get("x-headgate-stored") == "false"

            within(is_told)
            for method, path in (*((method, f"/{known}{path}") for method, path in ABOUT), ("GET", "?model=chat")):
                reply = raw(setup, method, URL + path, body={"metadata": {}} if method == "POST" else None)
                assert (reply.status_code, reply.json()["error"]["code"]) == (503, "completion_ids_unavailable")
                assert reply.headers["x-headgate-error-source"] == "gateway"
        finally:
            server.send(signal.SIGCONT)
        within(lambda: raw(setup, "GET", f"{URL}/{known}").status_code == 200)
        time.sleep(0.1)
        assert told[-1].json()["id"] not in ids(sdk.chat.completions.list(model="chat"))
