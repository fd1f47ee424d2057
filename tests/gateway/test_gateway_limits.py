"""Sizes, shapes and speeds of requests at the edge of what HTTP allows."""

import asyncio
import json
import re

import httpx2
import pytest
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat
from upstreams import Engine
from wire import Reply, ask, connection, head, post, read_reply

MIB = 2**20


def headers_of(keys: Keys) -> dict[str, str]:
    return {"host": "gateway.test", "content-type": "application/json", "authorization": f"Bearer {keys.acme}"}


def body_of(size: int) -> bytes:
    """A chat body of exactly so many bytes."""
    body = json.dumps(chat() | {"padding": ""}).encode()
    return body[:-2] + b"x" * (size - len(body)) + body[-2:]


def chunked(body: bytes, size: int = 65536) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def assert_refused(reply: Reply, status: int, code: str) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == "gateway"
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_default_limit(gateway: RunningGateway, keys: Keys, announced: bool) -> None:
    body = body_of(33 * MIB)
    if announced:
        request = post(CHAT, body, headers_of(keys))
    else:
        request = head("POST", CHAT, {**headers_of(keys), "transfer-encoding": "chunked"}) + chunked(body)
    reply = await ask(gateway.http, request)
    assert_refused(reply, 413, "request_too_large")
    assert str(32 * MIB) in reply.json["error"]["message"]
    assert reply.request_id


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(
    spare_gateway: RunningGateway, keys: Keys, engine: Engine, announced: bool
) -> None:
    for size, status in ((MIB, 200), (MIB + 1, 413), (2 * MIB, 413)):
        request = post(CHAT, body_of(size), headers_of(keys))
        if not announced:
            headers = {**headers_of(keys), "transfer-encoding": "chunked", "connection": "close"}
            request = head("POST", CHAT, headers) + chunked(body_of(size))
        reply = await ask(spare_gateway.http, request)
        assert reply.status == status
        assert engine.has_seen(reply.request_id) == (status == 200)


async def test_a_body_that_is_announced_as_too_large_is_not_waited_for(gateway: RunningGateway, keys: Keys) -> None:
    async with connection(gateway.http) as (reader, writer):
        writer.write(head("POST", CHAT, {**headers_of(keys), "content-length": str(32 * MIB + 1)}))
        assert_refused(await read_reply(reader), 413, "request_too_large")


async def test_a_body_without_a_key_is_not_waited_for(gateway: RunningGateway) -> None:
    async with connection(gateway.http) as (reader, writer):
        writer.write(
            head("POST", CHAT, {"host": "x", "content-type": "application/json", "content-length": str(MIB)})
        )
        assert (await read_reply(reader)).status == 401


async def test_headers_over_60_kib(gateway: RunningGateway, keys: Keys) -> None:
    body = json.dumps(chat()).encode()
    fits = await ask(gateway.http, post(CHAT, body, {**headers_of(keys), "x-large": "x" * 55_000}))
    assert fits.status == 200
    large = await ask(gateway.http, post(CHAT, body, {**headers_of(keys), "x-large": "x" * 62_000}))
    assert_refused(large, 431, "headers_too_large")


async def test_too_many_headers(gateway: RunningGateway, keys: Keys) -> None:
    many = {f"x-{number}": "1" for number in range(110)}
    reply = await ask(gateway.http, post(CHAT, b"{}", {**headers_of(keys), **many}))
    assert_refused(reply, 431, "headers_too_large")


NOT_HTTP = {
    "not HTTP at all": b"hello\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "a bare line": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nnothing\r\n\r\n",
    "a space in a header name": b"GET /v1/models HTTP/1.1\r\nhost: x\r\na b: c\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a length that is no number": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: five\r\n\r\n",
    "NUL in a header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\x00c\r\n\r\n",
    "NUL in the path": b"GET /v1/%00 HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_not_http_is_refused(gateway: RunningGateway, name: str) -> None:
    assert_refused(await ask(gateway.http, NOT_HTTP[name]), 400, "bad_request")


async def test_an_upgrade_is_refused_by_the_gateway(gateway: RunningGateway) -> None:
    fields = {"host": "gateway.test", "upgrade": "websocket", "connection": "upgrade"}
    assert_refused(await ask(gateway.http, head("GET", "/v1/models", fields)), 403, "gateway_refused")


async def test_http_1_0_as_some_proxies_speak_it(gateway: RunningGateway, keys: Keys) -> None:
    """No chunked encoding there: the end of the connection is the end of the stream."""
    body = json.dumps(chat(stream=True)).encode()
    request = post(CHAT, body, headers_of(keys), close=False).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    async with connection(gateway.http) as (reader, writer):
        writer.write(request)
        answer = await reader.read()
        while more := await reader.read():
            answer += more
    assert answer.startswith(b"HTTP/1.0 200 OK")
    assert b"transfer-encoding" not in answer.lower()
    assert answer.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("with_key", [False, True])
async def test_a_tunnel_is_refused_and_not_kept_waiting(gateway: RunningGateway, keys: Keys, with_key: bool) -> None:
    headers = {"host": "other.test:443"} | ({"authorization": f"Bearer {keys.acme}"} if with_key else {})
    async with asyncio.timeout(60):
        reply = await ask(gateway.http, head("CONNECT", "other.test:443", headers))
    assert_refused(reply, reply.status, reply.json["error"]["code"])
    assert reply.status in (401, 403, 404, 405)


async def test_a_broken_chunk_in_the_body(gateway: RunningGateway, keys: Keys) -> None:
    request = head("POST", CHAT, {**headers_of(keys), "transfer-encoding": "chunked"}) + b"zz\r\nab\r\n"
    assert_refused(await ask(gateway.http, request), 400, "bad_request")


async def test_a_slow_upload_is_waited_for(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    body = json.dumps(chat()).encode()
    async with connection(gateway.http) as (reader, writer):
        request = post(CHAT, body, headers_of(keys))
        for at in range(0, len(request), 40):
            writer.write(request[at : at + 40])
            await asyncio.sleep(0.15)
        reply = await read_reply(reader)
    assert (reply.status, reply.whole) == (200, True)
    assert engine.headers(reply.request_id)["content-length"]


async def test_many_requests_on_one_connection(gateway: RunningGateway, keys: Keys) -> None:
    ids = set()
    async with connection(gateway.http) as (reader, writer):
        for number in range(6):
            body = json.dumps(chat(stream=number % 2 == 0, simulate={"tokens": 3})).encode()
            writer.write(post(CHAT, body, headers_of(keys), close=False))
            reply = await read_reply(reader)
            assert (reply.status, reply.whole) == (200, True)
            ids.add(reply.request_id)
        nothing = json.dumps(chat("nothing")).encode()
        writer.write(post(CHAT, nothing, headers_of(keys), close=False))  # refused, and the connection goes on
        assert (await read_reply(reader)).status == 404
        writer.write(head("GET", "/v1/models", headers_of(keys)))
        assert (await read_reply(reader)).status == 200
    assert len(ids) == 6


async def test_requests_sent_before_the_answers_are_answered_in_order(gateway: RunningGateway, keys: Keys) -> None:
    lengths = [9, 1, 5, 3]
    bodies = [
        json.dumps(chat(stream=n % 2 == 1, simulate={"tokens": n, "ttft_s": n / 100})).encode() for n in lengths
    ]
    async with connection(gateway.http) as (reader, writer):
        writer.write(b"".join(post(CHAT, body, headers_of(keys), close=False) for body in bodies))
        replies = [await read_reply(reader) for _ in lengths]
    assert [reply.status for reply in replies] == [200] * 4
    for length, reply in zip(lengths, replies, strict=True):
        assert reply.body.count(b'"content":"') - 1 == length


async def test_a_body_is_asked_for(gateway: RunningGateway, keys: Keys) -> None:
    body = json.dumps(chat()).encode()
    async with connection(gateway.http) as (reader, writer):
        headers = {**headers_of(keys), "expect": "100-continue", "content-length": str(len(body))}
        writer.write(head("POST", CHAT, headers))
        assert re.match(rb"HTTP/1.1 100 ", await reader.readuntil(b"\r\n\r\n"))
        writer.write(body)
        assert (await read_reply(reader)).status == 200


async def test_http2_without_an_upgrade(gateway: RunningGateway, keys: Keys) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {keys.acme}"}
    async with httpx2.AsyncClient(http1=False, http2=True, headers=headers, timeout=20) as client:

        async def one(number: int) -> httpx2.Response:
            body = chat("final", stream=True, simulate={"tokens": number, "token_s": 0.002})
            return await client.post(gateway.url + CHAT, json=body)

        replies = await asyncio.gather(*(one(number) for number in range(1, 31)))
        refused = await client.post(gateway.url + CHAT, content=b"{")
    assert {reply.http_version for reply in replies} == {"HTTP/2"}
    assert [reply.text.count('"content":"') - 1 for reply in replies] == list(range(1, 31))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_json")
    assert refused.headers["x-request-id"]
