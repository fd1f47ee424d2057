"""What providers do wrong: their own errors pass, everything else becomes an error in OpenAI's shape."""

import asyncio
import json
import time

import httpx2
import pytest
from running_gateway import RunningGateway
from tenants import CHAT, EMBEDDINGS, Keys, chat
from upstreams import Engine
from wire import ask, connection, post, read_chunk, read_head

HEADERS = {"content-type": "application/json"}


def error_of(reply: httpx2.Response, status: int, code: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    assert reply.headers["x-headgate-error-source"] == "provider"
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert not [word for word in ("127.0.0.1", "upstream", "delayed connect", "cluster") if word in reply.text]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500, 502, 503, 504, 529])
def test_a_providers_error_passes_as_it_is(gateway: RunningGateway, keys: Keys, status: int, stream: bool) -> None:
    error = {"message": "quota “exceeded” ü", "type": "insufficient_quota", "param": None, "code": "x", "extra": [1]}
    wish = {"status": status, "error": error, "retry_after": 17}
    reply = gateway.post(CHAT, chat("keyed", stream=stream, simulate=wish), keys.acme)
    assert reply.status_code == status
    assert reply.headers["x-headgate-error-source"] == "provider"
    assert reply.headers["retry-after"] == "17"
    assert reply.headers["x-headgate-target"] == "keyed"
    assert reply.headers["x-request-id"]
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {"error": error}


@pytest.mark.parametrize("status", [401, 403])
def test_what_a_provider_says_of_its_key_stays_here(gateway: RunningGateway, keys: Keys, status: int) -> None:
    wish = {"status": status, "error": {"message": "Incorrect API key provided: sk-…cret"}}
    reply = gateway.post(CHAT, chat("keyed", simulate=wish), keys.acme)
    error_of(reply, status, "provider_refused_credential")
    assert "cret" not in reply.text.replace("credential", "")


@pytest.mark.parametrize("status", [404, 502])
def test_a_page_in_the_place_of_an_error_becomes_one(gateway: RunningGateway, keys: Keys, status: int) -> None:
    reply = gateway.post(CHAT, chat(simulate={"status": status, "content_type": "text/html"}), keys.acme)
    error_of(reply, status, "provider_malformed_answer")


def test_a_redirect_is_not_followed(gateway: RunningGateway, keys: Keys) -> None:
    wish = {"status": 307, "headers": {"location": "http://127.0.0.1:9/"}}
    error_of(gateway.post(CHAT, chat(simulate=wish), keys.acme), 502, "provider_malformed_answer")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_refuses_connections(gateway: RunningGateway, keys: Keys, stream: bool) -> None:
    reply = gateway.post(CHAT, chat("dead", stream=stream), keys.acme)
    error_of(reply, 503, "provider_unreachable")
    assert int(reply.headers["retry-after"]) >= 1


def test_one_refused_connection_after_another(gateway: RunningGateway, keys: Keys) -> None:
    for _ in range(8):  # enough to have the host ejected, were it not the only one
        error_of(gateway.post(CHAT, chat("dead"), keys.acme), 503, "provider_unreachable")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_whose_name_does_not_resolve(gateway: RunningGateway, keys: Keys, stream: bool) -> None:
    reply = gateway.post(CHAT, chat("nameless", stream=stream), keys.acme)
    error_of(reply, 503, "provider_unreachable")
    assert "invalid" not in reply.text  # nor where it would have gone
    assert gateway.post(CHAT, chat(), keys.acme).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_closes_without_an_answer(gateway: RunningGateway, keys: Keys, stream: bool) -> None:
    error_of(gateway.post(CHAT, chat("closing", stream=stream), keys.acme), 503, "provider_disconnected")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_resets_before_its_headers(gateway: RunningGateway, keys: Keys, stream: bool) -> None:
    body = chat(stream=stream, simulate={"cut_after": "before_headers"})
    error_of(gateway.post(CHAT, body, keys.acme), 503, "provider_disconnected")


async def test_a_stream_that_the_provider_cuts_is_cut_for_the_client_too(gateway: RunningGateway, keys: Keys) -> None:
    for model in ("chat", "final", "plain"):
        body = json.dumps(chat(model, stream=True, simulate={"cut_after": 5, "tokens": 50, "token_s": 0.01})).encode()
        reply = await ask(gateway.http, post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
        assert (reply.status, reply.whole) == (200, False)
        assert reply.body.count(b'"content":"') == 1 + 5
        assert b"[DONE]" not in reply.body


async def test_a_reply_that_the_provider_cuts_is_not_made_whole(gateway: RunningGateway, keys: Keys) -> None:
    body = json.dumps(chat(simulate={"cut_after": 20})).encode()
    reply = await ask(gateway.http, post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
    assert (reply.status, reply.whole, len(reply.body)) == (200, False, 20)


def test_silence_before_the_headers_of_a_stream(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    body = chat("hasty", stream=True, simulate={"silence": "before_headers"})
    reply = gateway.post(CHAT, body, keys.acme)
    error_of(reply, 504, "provider_timeout")
    engine.disconnect(reply.headers["x-request-id"])


def test_replies_that_are_no_streams_may_take_longer_than_that(gateway: RunningGateway, keys: Keys) -> None:
    for path, body in ((CHAT, chat("hasty", simulate={"delay_s": 1.5})), (EMBEDDINGS, _slow_embedding("hasty"))):
        assert gateway.post(path, body, keys.acme).status_code == 200


def test_a_reply_without_a_stream_is_not_idle_while_it_is_being_made(gateway: RunningGateway, keys: Keys) -> None:
    """`timeouts.idle` is the time between two pieces of an answer; before the first one there are none."""
    reply = gateway.post(CHAT, chat("restless", simulate={"delay_s": 2}), keys.acme)
    assert reply.status_code == 200, reply.text


def _slow_embedding(model: str) -> dict[str, object]:
    return {"model": model, "input": "x", "simulate": {"delay_s": 1.5}}


async def test_silence_in_mid_stream(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    """Before the first byte the client has seen nothing yet: then it is an error."""
    for point, events, seen in (("after_headers", 0, (504, True)), (3, 4, (200, False))):
        body = json.dumps(chat("restless", stream=True, simulate={"silence": point})).encode()
        reply = await ask(gateway.http, post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
        assert (reply.status, reply.whole) == seen
        assert reply.body.count(b"data: ") == events
        engine.disconnect(reply.request_id)


async def test_a_slow_stream_is_not_idle(gateway: RunningGateway, keys: Keys) -> None:
    wish = {"tokens": 4, "token_s": 0.6}  # each piece within the 1 s, all of them not
    body = json.dumps(chat("restless", stream=True, simulate=wish)).encode()
    reply = await ask(gateway.http, post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
    assert (reply.status, reply.whole) == (200, True)


def test_a_reply_over_the_total_time(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    began = time.monotonic()
    reply = gateway.post(CHAT, chat("brief", simulate={"silence": "before_headers"}), keys.acme)
    error_of(reply, 504, "provider_timeout")
    assert time.monotonic() - began >= 1
    engine.disconnect(reply.headers["x-request-id"])


async def test_a_stream_over_the_total_time_is_cut(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    body = json.dumps(chat("brief", stream=True, simulate={"tokens": 100, "token_s": 0.05})).encode()
    reply = await ask(gateway.http, post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
    assert (reply.status, reply.whole) == (200, False)
    assert engine.disconnect(reply.request_id)["chunks_sent"] < 100


async def test_the_next_replica_answers_for_a_failing_one(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine
) -> None:
    reply = gateway.post(CHAT, chat("pair", simulate={"status": 503}), keys.acme)
    assert (reply.status_code, reply.headers["x-headgate-attempts"]) == (503, "2")
    for one in (engine, other_engine):
        assert one.has_seen(reply.headers["x-request-id"])
    once = gateway.post(CHAT, chat("pair", simulate={"status": 400}), keys.acme)
    assert (once.status_code, once.headers["x-headgate-attempts"]) == (400, "1")


async def test_what_was_sent_reaches_the_client_before_the_rest_is_there(gateway: RunningGateway, keys: Keys) -> None:
    body = json.dumps(chat("final", stream=True, simulate={"silence": 3})).encode()
    async with connection(gateway.http) as (reader, writer):
        writer.write(post(CHAT, body, {**HEADERS, "authorization": f"Bearer {keys.acme}"}))
        assert (await read_head(reader)).status == 200
        received = b""
        async with asyncio.timeout(60):
            while received.count(b"\n\n") < 4:  # the role and three tokens
                received += await read_chunk(reader)
