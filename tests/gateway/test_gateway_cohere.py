"""Cohere behind a real gateway: its paths and its key, answers whole and streamed, and chains with others."""

import base64
import contextlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import httpx2
import openai
import pytest
from cohere_provider import OWN_HEADERS, cohere_provider, words_of
from recorder import Received, Recorder
from running_gateway import RunningGateway, running_gateway

CHAT, EMBEDDINGS, RERANK = "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"
PATHS = {"cohere": "/v2/chat", "proxied": "/corp/v2/chat", "openai": CHAT}
KEYS = {name: f"sk-{name}-{token_urlsafe(12)}" for name in PATHS}
MODELS = {"cohere": "command-a-03-2025", "proxied": "command-a-plus-05-2026", "openai": "gpt-4o"}
CHAINS = ["cohere", "proxied", "cohere-openai", "openai-cohere", "cohere-proxied", "proxied-cohere"]
CLIENT = f"hg-{token_urlsafe(32)}"


@dataclass(frozen=True)
class Setup:
    gateway: RunningGateway
    upstreams: dict[str, Recorder]

    def ask(self, model: str, says: str = "Hi", **members: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": says}], **members}
        headers = {"cookie": "session=client", "x_api_key": CLIENT}
        return self.gateway.post(CHAT, body, CLIENT, **headers)

    def received(self, name: str, reply: httpx2.Response) -> Received:
        """What reached a provider of a request: its own path and key, and nothing of the client's."""
        request_id = reply.headers["x-request-id"]
        (one,) = (one for one in self.upstreams[name].requests if ("x-request-id", request_id) in one.headers)
        headers = dict(one.headers)
        assert one.target == PATHS[name]
        assert headers["authorization"] == f"Bearer {KEYS[name]}"
        assert headers["content-length"] == str(len(one.body))
        others = [key for other, key in KEYS.items() if other != name]
        assert not any(secret in str(one.headers) + one.target for secret in (CLIENT, *others))
        assert "cookie" not in headers
        assert json.loads(one.body)["model"] == MODELS[name]
        return one


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with contextlib.ExitStack() as stack:
        ups = {name: stack.enter_context(cohere_provider(name)) for name in PATHS}
        config = configuration({name: f"http://{one.address}" for name, one in ups.items()})
        env = {f"KEY_{name.upper()}": key for name, key in KEYS.items()}
        yield Setup(stack.enter_context(running_gateway(tmp_path_factory.mktemp("cohere"), config, env)), ups)


def configuration(urls: dict[str, str]) -> dict[str, Any]:
    key = {name: {"api_key": f"env:KEY_{name.upper()}"} for name in KEYS}
    providers = {
        "cohere": {"api": "cohere", "base_url": urls["cohere"], **key["cohere"]},
        "proxied": {"api": "cohere", "base_url": f"{urls['proxied']}/corp", **key["proxied"]},
        "openai": {"api": "openai", "base_url": f"{urls['openai']}/v1", **key["openai"]},
    }
    models = {
        chain: {
            "targets": [{"provider": name, "model": MODELS[name]} for name in chain.split("-")],
            "drop_unsupported": True,
            "retry_on": ["5xx", "429", "context_window"],
        }
        for chain in CHAINS
    }
    ranks = [{"provider": name, "model": "rerank-v4.0-fast"} for name in ("cohere", "proxied")]
    models["rank"] = {"targets": ranks, "price": {"search": "0.002"}, "retry_on": ["5xx"]}
    keys = [{"name": "only", "sha256": sha256(CLIENT.encode()).hexdigest()}]
    return {"providers": providers, "models": models, "tenants": {"acme": {"models": [*models], "keys": keys}}}


def text_of(reply: httpx2.Response) -> str:
    """The answer's text, of either kind."""
    if reply.headers["content-type"] == "application/json":
        return str(reply.json()["choices"][0]["message"]["content"])
    assert reply.text.endswith("data: [DONE]\n\n")
    chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["cohere", "proxied"])
def test_an_answer(setup: Setup, name: str, stream: bool) -> None:
    reply = setup.ask(name, stream=stream, max_tokens=50)
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, name), reply.text
    assert text_of(reply) == "".join(words_of(name))
    assert not {header for header, _ in OWN_HEADERS} & reply.headers.keys()
    setup.received(name, reply)
    line = setup.gateway.end_line(reply.headers["x-request-id"])
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (12, 3, 8)
    assert (line["target"], line["upstream_model"], line["status"]) == (name, MODELS[name], 200)


def test_usage_in_a_stream_is_shown_to_those_who_ask(setup: Setup) -> None:
    shown = setup.ask("cohere", stream=True, stream_options={"include_usage": True})
    assert '"total_tokens":15' in shown.text
    assert "total_tokens" not in setup.ask("cohere", stream=True).text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chain", [chain for chain in CHAINS if "-" in chain])
@pytest.mark.parametrize("status", [503, 400])
def test_chains_in_every_order(setup: Setup, chain: str, stream: bool, status: int) -> None:
    first, second = chain.split("-")
    status = 503 if first == "openai" else status  # whose errors here have Cohere's words
    reply = setup.ask(chain, f"{first}:{status}", stream=stream)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "2"), reply.text
    assert reply.headers["x-headgate-target"] == second
    assert text_of(reply) == "".join(words_of(second))
    for name in (first, second):
        setup.received(name, reply)


@pytest.mark.parametrize("chain", ["cohere-openai", "cohere-proxied"])
def test_an_error_before_the_first_word(setup: Setup, chain: str) -> None:
    reply = setup.ask(chain, "cohere:early", stream=True)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (200, "2"), reply.text
    assert text_of(reply) == "".join(words_of(chain.split("-")[1]))
    alone = setup.ask("cohere", "cohere:early", stream=True)
    assert (alone.status_code, alone.json()["error"]["message"]) == (502, "cohere broke")


def test_errors(setup: Setup) -> None:
    refused = setup.ask("cohere", "cohere:401")
    assert (refused.status_code, refused.headers["x-headgate-error-source"]) == (401, "provider")
    assert "sk-some" not in refused.text
    long = setup.ask("cohere", "cohere:400")
    assert (long.status_code, long.json()["error"]["code"]) == (400, "context_length_exceeded")
    odd = setup.ask("cohere", "cohere:422")
    assert (odd.status_code, odd.json()["error"]["type"]) == (422, "invalid_request_error")


def test_what_it_cannot_do_is_named(setup: Setup) -> None:
    reply = setup.ask("cohere", logit_bias={"1": 2}, reasoning_effort="high", user="u")
    assert (reply.status_code, reply.headers["x-headgate-dropped"]) == (200, "logit_bias, reasoning_effort, user")


def test_openais_sdk(setup: Setup) -> None:
    with openai.OpenAI(api_key=CLIENT, base_url=f"{setup.gateway.url}/v1", max_retries=0) as client:
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        with client.chat.completions.stream(
            model="cohere",
            messages=[{"role": "user", "content": "Hi"}],
            tools=[tool],  # type: ignore[list-item]
        ) as stream:
            assert stream.get_final_completion().choices[0].message.content == "".join(words_of("cohere"))
        made = client.embeddings.create(model="cohere", input=["a", "b"])  # asks for base64
        assert [one.embedding for one in made.data] == [[0.5, -1.0], [0.5, -1.0]]
        assert made.usage.prompt_tokens == 12


def test_embeddings(setup: Setup) -> None:
    body = {"model": "cohere", "input": ["a", "b"], "encoding_format": "base64"}
    reply = setup.gateway.post(EMBEDDINGS, body, CLIENT)
    assert reply.status_code == 200, reply.text
    vectors = [base64.b64decode(one["embedding"]) for one in reply.json()["data"]]
    assert vectors == [struct.pack("<2f", 0.5, -1.0)] * 2
    line = setup.gateway.end_line(reply.headers["x-request-id"])
    assert (line["prompt_tokens"], line["target"]) == (12, "cohere")
    many = setup.gateway.post(EMBEDDINGS, {"model": "cohere", "input": ["x"] * 97}, CLIENT)
    assert (many.status_code, many.json()["error"]["message"]) == (400, "invalid request: it is none of this API")


def test_rankings(setup: Setup) -> None:
    body = {"model": "rank", "query": "q", "documents": ["a", {"text": "b"}], "return_documents": False}
    reply = setup.gateway.post(RERANK, body, CLIENT)
    assert reply.status_code == 200, reply.text
    assert [one["index"] for one in reply.json()["results"]] == [0, 1]
    assert reply.json()["meta"] == {"billed_units": {"search_units": 3}}
    line = setup.gateway.end_line(reply.headers["x-request-id"])
    assert [line[name] for name in ("surface", "target", "unit", "units", "estimated_units")] == [
        "rerank",
        "cohere",
        "search",
        3,
        1,
    ]
    (one,) = (
        one
        for one in setup.upstreams["cohere"].requests
        if ("x-request-id", reply.headers["x-request-id"]) in one.headers
    )
    assert (one.target, dict(one.headers)["authorization"]) == ("/v2/rerank", f"Bearer {KEYS['cohere']}")
    moved = setup.gateway.post(RERANK, {**body, "query": "cohere:503"}, CLIENT)
    assert (moved.status_code, moved.headers["x-headgate-target"]) == (200, "proxied")
    refused = setup.gateway.post(RERANK, {**body, "return_documents": True}, CLIENT)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "return_documents")
    failed = setup.gateway.post(RERANK, {**body, "query": "cohere:422"}, CLIENT)
    assert (failed.status_code, failed.json()["error"]["message"]) == (422, "invalid request")


def test_a_limit_rests_the_target(setup: Setup) -> None:
    """Last: it rests for five seconds."""
    reply = setup.ask("cohere-openai", "cohere:429")
    assert (reply.status_code, reply.headers["x-headgate-target"]) == (200, "openai")
    assert reply.headers["x-headgate-attempts"] == "2"
    alone = setup.ask("cohere", "cohere:429")
    assert (alone.status_code, alone.json()["error"]["type"]) == (429, "rate_limit_error")
    assert "Trial" not in alone.text


def test_what_an_attempt_cannot_send_is_told_as_what_it_is(setup: Setup) -> None:
    """The plan passes it, since the model may leave out what is unsupported, and then nothing is left."""
    reply = setup.gateway.post(EMBEDDINGS, {"model": "cohere", "input": [[1, 2], [3]]}, CLIENT)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "input")
    assert "HTTP" not in error["message"]
    assert reply.headers["x-headgate-error-source"] == "gateway"
