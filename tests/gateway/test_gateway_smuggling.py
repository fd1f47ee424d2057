"""Requests that two parsers could read differently: the gateway refuses them, or the provider sees exactly one."""

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from guarded import guarded_gateway
from processes import assert_unharmed, identities
from recorder import Recorder, recorder
from running_gateway import RunningGateway
from tenants import ASK, Keys
from wire import connection

PATH = b"/v1/chat/completions"
BODY = json.dumps({"model": "chat", "messages": ASK}).encode()
INNER = b"POST /v1/smuggled HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
SIZE = str(len(BODY)).encode()
NESTED = json.dumps({"model": "chat", "messages": ASK, "user": INNER.decode()}).encode()


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Recorder, keys: Keys) -> Iterator[RunningGateway]:
    with guarded_gateway(tmp_path_factory.mktemp("guarded"), provider, keys) as running:
        yield running


def request(
    *lines: bytes, body: bytes = BODY, first: bytes = b"POST " + PATH + b" HTTP/1.1", eol: bytes = b"\r\n"
) -> bytes:
    """A request with a place for a key; `lines` are whole header lines."""
    head = [first, b"host: gateway.test", b"authorization: Bearer KEY", b"content-type: application/json", *lines]
    return eol.join([*head, b"", b""]) + body


async def send(gateway: RunningGateway, keys: Keys, raw: bytes, wait_s: float = 10) -> list[int]:
    """The statuses of all answers to these bytes, until the gateway closes or falls silent after one."""
    async with connection(gateway.http) as (reader, writer):
        writer.write(raw.replace(b"KEY", keys.acme.encode()))
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(wait_s) as patience:
                while data := await reader.read(65_536):
                    received += data
                    if _complete(received):  # what was smuggled would be answered at once
                        patience.reschedule(asyncio.get_running_loop().time() + 0.3)
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def _complete(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(length) and len(body) >= int(length[1]) and b"connection: close" not in head.lower()


CHUNKED = b"transfer-encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

REFUSED = {
    "two lengths that differ": request(b"content-length: " + SIZE, b"content-length: 5"),
    "a list of lengths that differ": request(b"content-length: " + SIZE + b", 5"),
    "length and chunks": request(b"content-length: " + SIZE, CHUNKED, body=CHUNKS + INNER),
    "chunks and length": request(CHUNKED, b"content-length: 4", body=CHUNKS + INNER),
    "a negative length": request(b"content-length: -1"),
    "a length with a plus": request(b"content-length: +" + SIZE),
    "a length in hex": request(b"content-length: 0x10"),
    "a length with a decimal point": request(b"content-length: " + SIZE + b".0"),
    "a length beyond 64 bits": request(b"content-length: 99999999999999999999999"),
    "an empty length": request(b"content-length:"),
    "an unknown coding": request(b"transfer-encoding: xchunked", body=CHUNKS),
    "identity then chunked": request(b"transfer-encoding: identity, chunked", body=CHUNKS),
    "chunked twice": request(b"transfer-encoding: chunked, chunked", body=CHUNKS),
    "chunked in two headers": request(CHUNKED, CHUNKED, body=CHUNKS),
    "chunked and gzip": request(b"transfer-encoding: gzip, chunked", body=CHUNKS),
    "chunked with a vertical tab": request(b"transfer-encoding: \x0bchunked", body=CHUNKS),
    "chunked in quotes": request(b'transfer-encoding: "chunked"', body=CHUNKS),
    "a space before the colon": request(b"content-length : " + SIZE),
    "a tab before the colon": request(b"transfer-encoding\t: chunked", body=CHUNKS),
    "NUL in a header": request(b"x-nul: a\x00b", b"content-length: " + SIZE),
    "an empty header name": request(b": x", b"content-length: " + SIZE),
    "a chunk of a negative size": request(CHUNKED, body=b"-1\r\n" + BODY),
    "a chunk with 0x": request(CHUNKED, body=b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk beyond 64 bits": request(CHUNKED, body=b"fffffffffffffffff\r\n" + BODY),
    "a chunk without its end": request(CHUNKED, body=b"%x\r\n%sXX0\r\n\r\n" % (len(BODY), BODY)),
    "CR in a header before chunks": request(b"user-agent: a\rtransfer-encoding: chunked", body=CHUNKS),
    "a chunk that ends in a bare line feed": request(CHUNKED, body=b"%x\n%s\n0\n\n" % (len(BODY), BODY)),
    "a chunk extension with a bare line feed": request(CHUNKED, body=b"%x;a\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a chunk extension with a bare CR": request(CHUNKED, body=b"%x;a\rb\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a space before a chunk's size": request(CHUNKED, body=b" %x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "no host": b"POST " + PATH + b" HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.10": request(b"content-length: " + SIZE, first=b"POST " + PATH + b" HTTP/1.10"),
    "a lower-case version": request(b"content-length: " + SIZE, first=b"POST " + PATH + b" http/1.1"),
    "a space in the path": request(b"content-length: " + SIZE, first=b"POST /v1/chat completions HTTP/1.1"),
    "a path without a slash": request(b"content-length: " + SIZE, first=b"POST v1/chat/completions HTTP/1.1"),
    "a control character in the path": request(b"content-length: " + SIZE, first=b"POST /v1/\x01 HTTP/1.1"),
}  # fmt: skip


async def test_what_could_be_read_in_two_ways_is_refused(
    guarded: RunningGateway, keys: Keys, provider: Recorder
) -> None:
    provider.forget()
    before = identities(guarded)
    answers = await asyncio.gather(*(send(guarded, keys, raw) for raw in REFUSED.values()))
    expected = {400, 404, 411, 413, 426, 431, 501, 505}
    odd = {name: got for name, got in zip(REFUSED, answers, strict=True) if len(got) > 1 or not set(got) <= expected}
    assert odd == {}
    assert (provider.requests, provider.broken) == ([], [])
    assert_unharmed(guarded, before)


# Envoy's parser mends some of these: it joins folded lines, drops a bare CR, reads other versions as 1.1.
ONE = {
    "a folded header": request(b"user-agent: a\r\n b", b"content-length: " + SIZE),
    "a folded length": request(b"content-length:\r\n " + SIZE),
    "a folded coding": request(b"transfer-encoding:\r\n chunked", body=CHUNKS),
    "CR in a header": request(b"user-agent: a\rtransfer-encoding: chunked", b"content-length: " + SIZE),
    "two hosts": request(b"host: other.test", b"content-length: " + SIZE),
    "HTTP/2.0 in a line": request(b"content-length: " + SIZE, first=b"POST " + PATH + b" HTTP/2.0"),
    "a chunked HTTP/1.0 request": request(CHUNKED, body=CHUNKS, first=b"POST " + PATH + b" HTTP/1.0"),
    "a length named hop-by-hop": request(b"connection: content-length", b"content-length: " + SIZE),
    "an upgrade to HTTP/2": request(
        *(b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP__"),
        b"content-length: " + SIZE,
    ),
    "the same length twice": request(b"content-length: " + SIZE, b"content-length: " + SIZE),
    "bare line feeds": request(b"content-length: " + SIZE, eol=b"\n"),
    "a chunk extension": request(CHUNKED, body=b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a quoted chunk extension": request(CHUNKED, body=b'%x;a="\\r\\n0"\r\n%s\r\n0\r\n\r\n' % (len(BODY), BODY)),
    "chunk-size in capitals with zeros": request(CHUNKED, body=b"000%X\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
    "a trailer that is a header": request(CHUNKED, body=CHUNKS[:-2] + b"content-length: 5\r\nhost: other\r\n\r\n"),
    "absolute form": request(b"content-length: " + SIZE, first=b"POST http://other.test" + PATH + b" HTTP/1.1"),
    "chunked in capitals": request(b"Transfer-Encoding: CHUNKED", body=CHUNKS),
    "obs-text in a header": request(b"x-text: \xff\xfe", b"content-length: " + SIZE),
    "leading empty lines": b"\r\n\r\n" + request(b"content-length: " + SIZE),
    "a body that looks like a request": request(b"content-length: %d" % len(NESTED), body=NESTED),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
async def test_what_is_odd_but_clear_is_one_request_or_none(
    guarded: RunningGateway, keys: Keys, provider: Recorder, name: str
) -> None:
    provider.forget()
    before = identities(guarded)
    statuses = await send(guarded, keys, ONE[name])
    assert len(statuses) <= 1
    assert set(statuses) <= {200, 400}, statuses
    assert provider.broken == []
    assert len(provider.requests) == statuses.count(200)
    for received in provider.requests:
        assert (received.method, received.target) == ("POST", "/v1/chat/completions")
        headers = [header for header, _ in received.headers]
        assert len(headers) == len(set(headers))
        assert ("content-length" in headers) != ("transfer-encoding" in headers)
        assert json.loads(received.body)["model"] == "m"
        assert dict(received.headers)["host"] == provider.address
    assert_unharmed(guarded, before)


async def test_http_0_9_has_no_place_for_a_key(guarded: RunningGateway, keys: Keys, provider: Recorder) -> None:
    provider.forget()
    for line in (b"GET /v1/models\r\n\r\n", b"GET /v1/models\r\nauthorization: Bearer KEY\r\n\r\n"):
        assert set(await send(guarded, keys, line)) <= {400, 401}
    assert (provider.requests, provider.broken) == ([], [])


async def test_what_follows_a_request_is_the_next_one(
    guarded: RunningGateway, keys: Keys, provider: Recorder
) -> None:
    """Two requests on one connection stay two, with a body that ends where its length says."""
    provider.forget()
    first = request(b"content-length: " + SIZE)
    second = request(b"content-length: " + SIZE, b"connection: close")
    async with connection(guarded.http) as (reader, writer):
        writer.write((first + second).replace(b"KEY", keys.acme.encode()))
        received = b""
        while data := await reader.read(65_536):
            received += data
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", received) == [b"200", b"200"]
    assert len(provider.requests) == 2
