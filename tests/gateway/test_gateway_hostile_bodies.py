"""Bodies and paths that are made to hurt: each is answered in OpenAI's shape, quickly, and no memory stays behind."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from guarded import guarded_gateway
from processes import MIB, assert_unharmed, identities, pss_bytes
from recorder import Recorder, recorder
from running_gateway import RunningGateway
from tenants import CHAT, Keys, chat
from wire import Reply, ask, head, post

LIMIT = 32 * MIB


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Recorder, keys: Keys) -> Iterator[RunningGateway]:
    with guarded_gateway(tmp_path_factory.mktemp("hostile"), provider, keys) as running:
        yield running


def held(gateway: RunningGateway) -> int:
    """The usage store apart, which takes its memory with the first row, whatever was asked."""
    return pss_bytes(gateway, "") - pss_bytes(gateway, "usage")


@pytest.fixture(autouse=True)
async def unharmed(guarded: RunningGateway, provider: Recorder, keys: Keys) -> AsyncIterator[None]:
    before, memory = identities(guarded), held(guarded)
    provider.forget()
    yield
    assert_unharmed(guarded, before)
    assert held(guarded) < memory + 200 * MIB
    reply = await asyncio.to_thread(guarded.post, CHAT, chat(), keys.acme)
    assert reply.status_code == 200


def headers_of(keys: Keys, **more: str) -> dict[str, str]:
    return {
        "host": "gateway.test",
        "content-type": "application/json",
        "authorization": f"Bearer {keys.acme}",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def refused(reply: Reply, status: int, code: str | None = None) -> dict[str, object]:
    assert reply.status == status, reply.body[:300]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-error-source"] == "gateway"
    error: dict[str, object] = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert len(str(error["message"])) < 300
    assert code is None or error["code"] == code
    return error


def inside(value: bytes) -> bytes:
    """A chat body with this as the value of a parameter that nobody knows."""
    return json.dumps(chat()).encode()[:-1] + b', "x": ' + value + b"}"


FULL = LIMIT - 1000
REFUSED = {
    "only brackets": (b"[" * LIMIT, "too_many_values"),
    "only braces": (b"{" * LIMIT, "too_many_values"),
    "100,000 levels of arrays": (inside(b"[" * 100_000 + b"]" * 100_000), "invalid_json"),
    "100,000 levels of objects": (inside(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "invalid_json"),
    "100,000 levels without an end": (inside(b'[{"a":' * 50_000), "invalid_json"),
    "a million numbers": (inside(b"[" + b"1," * 1_000_000 + b"1]"), "too_many_values"),
    "a number of 32 MiB": (inside(b"9" * FULL), "invalid_json"),
    "a negative number of 32 MiB": (inside(b"-" + b"9" * FULL), "invalid_json"),
    "a string of 32 MiB without an end": (inside(b'"' + b"x" * FULL)[:-1], "invalid_json"),
    "32 MiB of white space": (b" " * LIMIT, "invalid_json"),
    "32 MiB of commas": (b"," * LIMIT, "too_many_values"),
    "a mistake behind 32 MiB": (inside(b'"' + b"x" * FULL + b'"') + b"}", "invalid_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(chat()).encode(), "invalid_json"),
    "UTF-16": (json.dumps(chat()).encode("utf-16"), "invalid_json"),
    "UTF-32": (json.dumps(chat()).encode("utf-32"), "invalid_json"),
    "overlong UTF-8": (inside(b'"\xc0\xaf"'), "invalid_json"),
    "a surrogate in UTF-8": (inside(b'"\xed\xa0\x80"'), "invalid_json"),
    "beyond Unicode": (inside(b'"\xf4\x90\x80\x80"'), "invalid_json"),
    "cut UTF-8": (inside(b'"\xf0\x9f"'), "invalid_json"),
    "NUL in a string": (inside(b'"a\x00b"'), "invalid_json"),
    "a line break in a string": (inside(b'"a\nb"'), "invalid_json"),
    "infinity": (inside(b"Infinity"), "invalid_json"),
    "minus infinity": (inside(b"-Infinity"), "invalid_json"),
    "a leading zero": (inside(b"01"), "invalid_json"),
    "hexadecimal": (inside(b"0x10"), "invalid_json"),
    "single quotes": (inside(b"'a'"), "invalid_json"),
    "a comment": (inside(b"1 /* 2 */"), "invalid_json"),
    "a bad escape": (inside(rb'"\x41"'), "invalid_json"),
    "a half escape": (inside(rb'"\u12"'), "invalid_json"),
    "a key twice": (json.dumps(chat()).encode()[:-1] + b', "model": "chat"}', "duplicate_key"),
    "a key twice, once in escapes": (json.dumps(chat()).encode()[:-1] + rb', "\u006dodel": "chat"}', "duplicate_key"),
    "3,000 keys twice": (b"{" + b",".join(b'"k%d":1' % (n % 3_000) for n in range(6_000)) + b"}", "duplicate_key"),
    "400,000 keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(400_000)) + b"}", "too_many_values"),
    "several objects": (json.dumps(chat()).encode() * 2, "invalid_json"),
    "a string": (b'"chat"', "invalid_json"),
    "null": (b"null", "invalid_json"),
    "nothing": (b"", "invalid_json"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_json_is_refused_soon(
    guarded: RunningGateway, keys: Keys, provider: Recorder, name: str
) -> None:
    body, code = REFUSED[name]
    began = time.monotonic()
    refused(await ask(guarded.http, post(CHAT, body, headers_of(keys))), 400, code)
    assert time.monotonic() - began < 30, "not in linear time"
    assert provider.requests == []


PASSED = {
    "an empty key": b"1" + b', "": 2',
    "a key of a megabyte": b'1, "' + b"k" * MIB + b'": 2',
    "5,000 keys": b"1, " + b",".join(b'"k%d":1' % n for n in range(5_000)),
    "100,000 keys further in": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
    "numbers beyond a double": b"[1e400, -1e400, 1e-400, 123456789012345678901234567890]",
    "a number of a thousand digits": b"9" * 1000,
    "900 levels": b"[" * 900 + b"]" * 900,
    "lone surrogates": rb'["\ud800", "\udc00\ud800", {"\ud800": 1}]',
    "NUL in escapes": rb'"a\u0000b"',
    "a key twice further in": b'{"a": 1, "a": 2}',
    "other white space inside": b"\t\r\n 1 \n",
    "all of Unicode's corners": '["\u2028", "\ufeff", "\uffff", "\U0010ffff", "e\u0301"]'.encode(),
    "a string of 30 MiB": b'"' + b"x" * (30 * MIB) + b'"',
    "a string of 30 MiB and one emoji": b'"' + b"x" * (30 * MIB) + '\U0001f600"'.encode(),
}


@pytest.mark.parametrize("name", PASSED)
async def test_what_is_json_reaches_the_provider_as_written(
    guarded: RunningGateway, keys: Keys, provider: Recorder, name: str
) -> None:
    body = inside(PASSED[name])
    reply = await ask(guarded.http, post(CHAT, body, headers_of(keys)))
    assert reply.status == 200, reply.body
    (received,) = provider.requests
    assert received.body == body.replace(b'"model": "chat"', b'"model": "m"', 1)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "x-gzip", "gzip, gzip", "identity, gzip", "?"])
async def test_a_bomb_is_not_unpacked(guarded: RunningGateway, keys: Keys, provider: Recorder, encoding: str) -> None:
    bomb = gzip.compress(gzip.compress(b" " * (256 * MIB)))  # 256 MiB in a few hundred bytes
    error = refused(
        await ask(guarded.http, post(CHAT, bomb, headers_of(keys, content_encoding=encoding))),
        415,
        "invalid_content_encoding",
    )
    assert "'identity'" in str(error["message"])
    assert provider.requests == []


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=" + "x" * 5000,
        "application/x-www-form-urlencoded",
        "application/json, text/plain",
        "application/jsonx",
        "text/json",
        "application/octet-stream",
        "application/msgpack",
        "a" * 10_000,
        "\xff\xfe",
        ";",
    ],
    ids=range(11),
)
async def test_a_body_of_another_type(
    guarded: RunningGateway, keys: Keys, provider: Recorder, content_type: str
) -> None:
    request = post(CHAT, json.dumps(chat()).encode(), headers_of(keys, content_type=content_type))
    refused(await ask(guarded.http, request), 400, "invalid_content_type")
    assert provider.requests == []


PATHS = [
    "/v1/../../etc/passwd",
    "/v1/%2e%2e/%2e%2e/etc/passwd",
    "/v1/chat/completions/..",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%20",
    "/v1/chat/completions%0d%0ax: y",
    "/v1/chat/completions%3f",
    "/v1/chat%5ccompletions",
    "/%76%31/nothing",
    "/v1/%ff%fe",
    "/v1/%c0%af",
    "/v1/%",
    "/v1/%zz",
    "/v1/\xff",
    "/" + "a/" * 10_000,
    "/v1/" + "%2e%2e/" * 5_000,
    "/?" + "a=b&" * 10_000,
    "/tenants/%00/v1/models",
    "/tenants/../v1/none",
    "/tenants//v1/models",
    "/tenants/" + "x" * 10_000 + "/v1/models",
    "/tenants/%25%32%66/v1/models",
    "*",
    "http://other.test/v1/none",
]


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
@pytest.mark.parametrize("with_key", [True, False])
async def test_an_odd_path(
    guarded: RunningGateway, keys: Keys, provider: Recorder, path: str, with_key: bool
) -> None:
    headers = headers_of(keys)
    if not with_key:
        del headers["authorization"]
    reply = await ask(guarded.http, post(path, json.dumps(chat()).encode(), headers))
    assert reply.status in ((400, 403, 404, 405) if with_key else (400, 401))
    refused(reply, reply.status)
    assert provider.requests == []


@pytest.mark.parametrize(
    "method", ["TRACE", "PATCH", "PUT", "DELETE", "OPTIONS", "PROPFIND", "post", "X" * 50, "GET/x", "\xff"]
)
async def test_an_odd_method(guarded: RunningGateway, keys: Keys, provider: Recorder, method: str) -> None:
    reply = await ask(guarded.http, head(method, CHAT, {**headers_of(keys), "content-length": "0"}))
    assert reply.status in (400, 403, 405, 501)
    refused(reply, reply.status)
    assert provider.requests == []


@pytest.mark.parametrize("value", ["\xff\xfe", "\xc0\xaf", "a\x01b", "\x7f", "é" * 100])
@pytest.mark.parametrize("name", ["authorization", "content-type", "openai-tenant", "x-api-key", "traceparent"])
async def test_bytes_in_headers(
    guarded: RunningGateway, keys: Keys, provider: Recorder, name: str, value: str
) -> None:
    headers = {**headers_of(keys), name: value}
    reply = await ask(guarded.http, post(CHAT, json.dumps(chat()).encode(), headers))
    if reply.status == 200:
        assert name == "traceparent"
        return
    refused(reply, reply.status)
    assert reply.status in (400, 401, 403)
    assert provider.requests == []


async def test_an_id_of_any_length_does_not_fill_the_spool(guarded: RunningGateway, keys: Keys) -> None:
    """What is refused before it has an id of ours shows a piece of the client's, and is nobody's."""
    forged = "forged-" + "x" * 50_000
    reply = await ask(guarded.http, head("GET", "/v1/%00", {**headers_of(keys), "x-request-id": forged}))
    assert reply.status == 400
    line = guarded.end_line(forged[:36])
    assert (line["tenant"], line["model"], line["status"]) == (None, None, 400)
    assert len(json.dumps(line)) < 2_000
