"""What a fuzz run sends: JSON that is nearly right, requests that are nearly HTTP, frames that are nearly HTTP/2."""

import json
from dataclasses import dataclass, field
from typing import Any

from hpack import Encoder
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame
from hypothesis import strategies as st
from tenants import ASK, CHAT, COMPLETIONS, EMBEDDINGS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_NUMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([10**400, -(10**30), 0, 1])
)
_ODD_TEXTS = st.sampled_from(["chat", "", "nothing", "\x00", "\ud800", "a" * 5000, "\u2028"])
_TEXTS = st.one_of(st.text(max_size=30), _ODD_TEXTS)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
_NAMES = st.sampled_from(
    [
        *("model", "messages", "stream", "stream_options", "include_usage", "prompt", "input", "n", "temperature"),
        *("max_tokens", "tools", "role", "content", "user", "headgate", "rag", "Model", "simulate", "", "x" * 300),
    ]
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(_NAMES | _TEXTS, inner, max_size=5)),
    max_leaves=20,
)
_RIGHT = [
    {"model": "chat", "messages": ASK},
    {"model": "chat", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}},
    {"model": "chat", "prompt": "x", "stream": True},
    {"model": "chat", "input": ["x", "y"]},
]
_OPENINGS = st.sampled_from(["[", '{"a":', "[["])
_DEEP = st.builds(lambda opening, depth: opening * depth, _OPENINGS, st.integers(0, 50_000))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """From a body that a provider would take to bytes that are nothing."""
    kind = draw(st.sampled_from(["changed", "value", "mutated", "bytes", "deep"]))
    if kind == "bytes":
        return draw(st.binary(max_size=300))
    right: dict[str, Any] = dict(draw(st.sampled_from(_RIGHT)))
    if kind == "value":
        return _encoded(draw(_VALUES))
    if kind == "deep":
        return (json.dumps(right)[:-1] + ', "x": ' + draw(_DEEP) + "}").encode()
    for name in draw(st.lists(_NAMES, max_size=3)):
        right[name] = draw(_VALUES)
    text = _encoded(right)
    return _mutated(draw, text) if kind == "mutated" else text


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """A few bytes taken out, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        to = min(len(data), at + draw(st.integers(0, 8)))
        other = st.sampled_from([b"", data[at:to] * 2, b"\x00", b"\xff", b"\r\n", b'"', b"{", b":", b"\\"])
        data = data[:at] + draw(other) + data[to:]
    return data


_PATH_PARTS = ["..", ".", "%2e%2e", "%00", "//", "v1", "chat", "tenants", "acme", "%ff", "?", "#", "\\"]
_PATHS = st.one_of(
    st.sampled_from([CHAT, COMPLETIONS, EMBEDDINGS, "/v1/models", "/v1/models/chat", "/tenants/acme/v1/models"]),
    st.sampled_from(["/", "*", "", "http://other.test/v1/models"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=60).map(lambda text: "/v1/" + text),
    st.lists(st.sampled_from(_PATH_PARTS), max_size=8).map(lambda parts: "/" + "/".join(parts)),
)
_METHODS = st.sampled_from(
    ["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO", "post"]
)
_KNOWN_HEADERS = [
    *("content-type", "content-encoding", "accept", "authorization", "api-key", "x-api-key", "openai-tenant"),
    *("expect", "x-request-id", "x-envoy-max-retries", "x-forwarded-for", "x-headgate-profile", "traceparent", "te"),
    *("cookie", "connection", "upgrade", "x-envoy-retry-on", "user-agent", "range", "accept-encoding", "via"),
    *("grpc-timeout", "x-forwarded-client-cert", "content-length", "transfer-encoding", "host"),
]
_HEADER_NAMES = st.one_of(
    st.sampled_from(_KNOWN_HEADERS),
    st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`|~"), min_size=1, max_size=30),
)
_KNOWN_VALUES = [
    *("", "application/json", "application/grpc", "gzip", "close", "100-continue", "KEY", "Bearer KEY"),
    *("x" * 20_000, "websocket", "h2c", "trailers", "chunked", "0"),
]
_HEADER_VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80),
    st.sampled_from(_KNOWN_VALUES),
)
HEADERS = st.lists(st.tuples(_HEADER_NAMES, _HEADER_VALUES), max_size=6)


@dataclass(frozen=True)
class Request:
    """A request that is well-formed as HTTP; `KEY` stands for a tenant's key."""

    method: str
    path: str
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


REQUESTS = st.builds(Request, _METHODS, _PATHS, bodies(), HEADERS)

_FRAMINGS = [
    *("content-length: SIZE", "transfer-encoding: chunked", "content-length: 5", "content-length: -1", "x: y"),
    *("transfer-encoding: gzip, chunked", "content-length: SIZE\r\ncontent-length: SIZE"),
    "Content-Length : SIZE",
    *("content-length: 99999999999999999999", "transfer-encoding: chunked\r\ncontent-length: SIZE"),
]
_VERSIONS = ["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", ""]


@st.composite
def raw_http1(draw: st.DrawFn) -> bytes:
    """The bytes of a request, of several, or of something that began as one."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=500))
    body = draw(bodies())
    eol = draw(st.sampled_from(["\r\n"] * 9 + ["\n"]))
    head = [
        f"{draw(_METHODS)} {draw(_PATHS)} {draw(st.sampled_from(_VERSIONS))}",
        *("host: gateway.test", "authorization: Bearer KEY", "content-type: application/json"),
        draw(st.sampled_from(_FRAMINGS)).replace("SIZE", str(len(body))),
        *(f"{name}: {value}" for name, value in draw(HEADERS)),
    ]
    data = (eol.join([*head, "", ""])).encode("latin-1", "replace") + body
    if draw(st.booleans()):
        data = _mutated(draw, data)
    return data * draw(st.integers(1, 2))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


_FRAMES = st.builds(
    _frame,
    st.one_of(st.integers(0, 10), st.integers(0, 255)),
    st.integers(0, 255),
    st.one_of(st.sampled_from([0, 1, 3, 5]), st.integers(0, 2**32 - 1)),
    st.binary(max_size=64),
)


@st.composite
def raw_http2(draw: st.DrawFn) -> bytes:
    """A preface, mostly, and frames of any kind; header blocks are sometimes right."""
    encoder, sent = Encoder(), [draw(st.sampled_from([PREFACE] * 9 + [b""])), SettingsFrame(0).serialize()]
    stream = 1
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            sent.append(draw(_FRAMES))
            continue
        request = draw(REQUESTS)
        pairs = [(":method", request.method), (":scheme", "http"), (":authority", "x"), (":path", request.path)]
        pairs += [("authorization", "Bearer KEY"), ("content-type", "application/json"), *request.headers]
        block = encoder.encode([(n.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for n, v in pairs])
        flags = draw(st.sampled_from([["END_HEADERS"], ["END_HEADERS", "END_STREAM"], []]))
        sent.append(HeadersFrame(stream, data=block, flags=flags).serialize())
        sent.append(DataFrame(stream, data=request.body[:16_000], flags=["END_STREAM"]).serialize())
        stream += 2
    data = b"".join(sent)
    return _mutated(draw, data) if draw(st.integers(0, 3)) == 0 else data
