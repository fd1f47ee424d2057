"""Byte for byte: what clients write reaches providers, and what providers answer reaches clients."""

import asyncio
import json
import re
from typing import Any

import pytest
from running_gateway import RunningGateway
from tenants import CHAT, COMPLETIONS, EMBEDDINGS, UPSTREAM_MODEL, Keys, chat
from upstreams import Engine
from wire import Reply, ask, post

CREATED = re.compile(rb'"created": ?\d+')
STREAM_OPTIONS = re.compile(r',"stream_options":\{[^{}]*\}')

ODD_BODY = (
    '\r\n{ "messages" : [ {"role":"user", "content":"h\\u00e9 é \\ud83d\\ude00 😀 \\/ \\u0000",\t"name":null} ] ,\n'
    '  "temperature":1.0,"top_p":1e-1, "seed": 12345678901234567890123, "presence_penalty":-0.0,\n'
    '  "unknown":{"b":1, "a":[1.50, 1E400, {"model":"chat","model":"twice"}]}, "logit_bias":{},\n'
    '  "model"  :  "MODEL" ,"stream":STREAM, "user" : "u\\"1\\n"}\r\n\r\n '
)


async def direct_reply(engine: Engine, body: bytes, request_id: str) -> Reply:
    """The answer without a gateway, in as few frames as there can be: how it is cut does not change its bytes."""
    fields = json.loads(body)
    wish = {k: v for k, v in fields["simulate"].items() if k not in ("frame_bytes", "frames_per_event", "token_s")}
    at_once = {**fields, "simulate": {**wish, "coalesce": 1000, "token_s": 0}}
    return await engine.direct(CHAT, json.dumps(at_once).encode(), request_id)


async def gateway_reply(gateway: RunningGateway, keys: Keys, path: str, body: bytes) -> Reply:
    headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}"}
    return await ask(gateway.http, post(path, body, headers))


def without_time(body: bytes) -> bytes:
    """`created` is a second of the clock; all else of two answers with the same id is the same."""
    return CREATED.sub(b'"created":0', body)


@pytest.mark.parametrize("model", ["chat", "final", "plain", "keyed", "vendor/chat-1"])
@pytest.mark.parametrize("stream", ["false", "true"])
async def test_the_body_reaches_the_provider_as_written(
    gateway: RunningGateway, keys: Keys, engine: Engine, other_engine: Engine, model: str, stream: str
) -> None:
    text = ODD_BODY.replace("STREAM", stream)
    reply = await gateway_reply(gateway, keys, CHAT, text.replace("MODEL", model).encode())
    assert reply.status == 200, reply.body
    upstream = other_engine if model == "keyed" else engine
    received = upstream.request(reply.request_id)
    assert dict(received["headers"])["content-length"] == str(len(received["body"].encode()))
    added = STREAM_OPTIONS.findall(received["body"])
    assert len(added) == (stream == "true" and model != "plain")
    assert STREAM_OPTIONS.sub("", received["body"]) == text.replace("MODEL", UPSTREAM_MODEL)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('{ "include_usage" : false , "x": 1.0 }', {"include_usage": True, "x": 1.0}),
        ('{"include_usage": true}', {"include_usage": True}),
        ("null", {"include_usage": True}),
        ("{}", {"include_usage": True}),
        ('{"include_obfuscation": false}', {"include_usage": True, "include_obfuscation": False}),
    ],
)
async def test_stream_options_are_added_to_those_of_the_client(
    gateway: RunningGateway, keys: Keys, engine: Engine, given: str, sent: dict[str, Any]
) -> None:
    text = '{"model":"final", "stream":true,"stream_options":OPTIONS ,"messages":[{"role":"user","content":"x"}]}'
    reply = await gateway_reply(gateway, keys, CHAT, text.replace("OPTIONS", given).encode())
    assert (reply.status, reply.whole) == (200, True)
    received = engine.request(reply.request_id)["body"]
    start, end = text.replace("final", UPSTREAM_MODEL).split("OPTIONS")
    assert received.startswith(start)
    assert received.endswith(end)
    assert json.loads(received)["stream_options"] == sent
    assert (b'"usage"' in reply.body) == ("true" in given)


@pytest.mark.parametrize(
    ("path", "fields"),
    [(EMBEDDINGS, '"input" : [ "a" , "b" ],"encoding_format":"float"'), (COMPLETIONS, '"prompt":"x", "top_p": 1.00')],
)
async def test_the_body_of_other_endpoints(
    gateway: RunningGateway, keys: Keys, engine: Engine, path: str, fields: str
) -> None:
    text = f'{{{fields}, "model":"chat"}}'
    reply = await gateway_reply(gateway, keys, path, text.encode())
    received = engine.request(reply.request_id)
    assert (received["path"], received["body"]) == (path, text.replace("chat", UPSTREAM_MODEL))
    direct = await engine.direct(path, text.encode(), reply.request_id)
    assert without_time(reply.body) == without_time(direct.body)


ODD_TEXT = 'a"usage":{"completion_tokens":9}}\n\n\\"é😀\u2028 data: [DONE]\n\n' * 9

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "7 bytes at a time": {"frame_bytes": 7, "tokens": 6},
    "1 byte at a time": {"frame_bytes": 1, "tokens": 1},
    "events in three parts": {"frames_per_event": 3},
    "five events at once": {"coalesce": 5},
    "everything at once": {"coalesce": 1000},
    "CR LF": {"crlf": True},
    "CR LF, 7 bytes at a time": {"crlf": True, "frame_bytes": 7, "tokens": 6},
    "usage null in between": {"null_usage": True},
    "usage null, 7 bytes at a time": {"null_usage": True, "frame_bytes": 7, "tokens": 6},
    "a wrong usage nested": {"nested_usage": True},
    "a wrong usage nested, 7 bytes at a time": {"nested_usage": True, "frame_bytes": 7, "tokens": 6},
    "usage first": {"usage_first": True},
    "spaces": {"spaces": True},
    "spaces, usage first, nested": {"spaces": True, "usage_first": True, "nested_usage": True},
    "details": {"cached_tokens": 3, "reasoning_tokens": 2},
    "reasoning": {"reasoning": 12},
    "quotes, escapes and usage in the text": {"text": ODD_TEXT},
    "no usage": {"no_usage": True},
    "no tokens": {"tokens": 0},
    "broken event": {"malformed_after": 5},
    "JSON for a stream": {"plain_json": True},
    "its own content type": {"content_type": "Text/Event-Stream"},
}


@pytest.mark.parametrize("model", ["chat", "final", "plain"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_stream_is_what_the_provider_sends_without_being_asked_for_usage(
    gateway: RunningGateway, keys: Keys, engine: Engine, shape: str, model: str
) -> None:
    wish = {"token_s": 0, **SHAPES[shape]}
    body = json.dumps(chat(model, stream=True, simulate=wish)).encode()
    reply = await gateway_reply(gateway, keys, CHAT, body)
    direct = await direct_reply(engine, body, reply.request_id)
    assert (reply.status, reply.whole, direct.whole) == (200, True, True)
    assert reply.headers["content-type"] == direct.headers["content-type"]
    assert without_time(reply.body) == without_time(direct.body)


@pytest.mark.parametrize(
    "shape", ["plain", "7 bytes at a time", "CR LF", "usage null in between", "spaces", "details"]
)
@pytest.mark.parametrize("model", ["chat", "final", "plain"])
async def test_usage_that_was_asked_for_is_what_the_provider_sends(
    gateway: RunningGateway, keys: Keys, engine: Engine, model: str, shape: str
) -> None:
    wish = {"token_s": 0, **SHAPES[shape]}
    body = json.dumps(chat(model, stream=True, simulate=wish, stream_options={"include_usage": True})).encode()
    reply = await gateway_reply(gateway, keys, CHAT, body)
    direct = await direct_reply(engine, body, reply.request_id)
    assert (reply.whole, direct.whole) == (True, True)
    expected, received = without_time(direct.body), without_time(reply.body)
    if model == "chat":  # the provider was asked for more than the client wants: null is as good as nothing
        expected = expected.replace(b',"usage":null', b"").replace(b', "usage": null', b"")
        received = received.replace(b',"usage":null', b"").replace(b', "usage": null', b"")
    assert received == expected


async def test_usage_with_every_chunk_that_was_asked_for(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = json.dumps(chat(stream=True, simulate={"frame_bytes": 50}, stream_options=options)).encode()
    reply = await gateway_reply(gateway, keys, CHAT, body)
    direct = await direct_reply(engine, body, reply.request_id)
    assert reply.body.count(b'"usage":{') > 30
    assert without_time(reply.body) == without_time(direct.body)


@pytest.mark.parametrize("model", ["chat", "final", "plain"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "wish",
    [
        {"content_encoding": "gzip"},  # nobody asked for it, and nobody could count what is in it
        {"content_type": "text/plain"},
        {"content_type": "text/html; charset=utf-8"},
    ],
)
async def test_what_is_not_the_api_does_not_pass(
    gateway: RunningGateway, keys: Keys, wish: dict[str, Any], stream: bool, model: str
) -> None:
    body = json.dumps(chat(model, stream=stream, simulate=wish)).encode()
    reply = await gateway_reply(gateway, keys, CHAT, body)
    assert (reply.status, reply.whole) == (502, True)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == "provider"
    assert "content-encoding" not in reply.headers
    assert json.loads(reply.body)["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    "wish", [{}, {"spaces": True}, {"nested_usage": True}, {"frame_bytes": 7}, {"null_usage": True}]
)
async def test_a_json_answer_passes(
    gateway: RunningGateway, keys: Keys, engine: Engine, wish: dict[str, Any]
) -> None:
    body = json.dumps(chat(simulate=wish)).encode()
    reply = await gateway_reply(gateway, keys, CHAT, body)
    direct = await direct_reply(engine, body, reply.request_id)
    assert without_time(reply.body) == without_time(direct.body)


@pytest.mark.timeout(60)
async def test_two_hundred_streams_at_once_each_whole_and_in_order(
    gateway: RunningGateway, keys: Keys, engine: Engine
) -> None:
    tokens, streams = 200, 200

    async def one(number: int) -> tuple[bytes, Reply]:
        question = [{"role": "user", "content": f"question {number}"}]
        wish = {"tokens": tokens, "token_s": 0.005, "nested_usage": number % 7 == 0, "crlf": number % 5 == 0}
        wish |= {"coalesce": 3} if number % 3 == 0 else {}
        body = chat(("chat", "final", "plain")[number % 3], stream=True, simulate=wish) | {"messages": question}
        raw = json.dumps(body).encode()
        return raw, await gateway_reply(gateway, keys, CHAT, raw)

    replies = await asyncio.gather(*(one(number) for number in range(streams)))
    assert len({reply.request_id for _, reply in replies}) == streams
    for raw, reply in replies:
        direct = await direct_reply(engine, raw, reply.request_id)
        assert reply.whole
        assert reply.body.count(b'"content":"') == tokens + 1
        assert without_time(reply.body) == without_time(direct.body)
