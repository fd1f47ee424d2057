"""The bytes of streams and replies: what a gateway's parser has to live with."""

import base64
import gzip
import json
import re
import struct
import time
import zlib
from typing import Any

import pytest
from raw_http import ASK, Engine, Reply, send_request

USAGE = {"include_usage": True}
CONTINUOUS = {"include_usage": True, "continuous_usage_stats": True}


def completion_usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


def usages(reply: Reply) -> list[Any]:
    """The usage of each chunk, "-" where there is no such key."""
    return [chunk.get("usage", "-") for chunk in reply.chunks]


def test_every_byte_of_a_short_stream(engine: Engine) -> None:
    body = {**ASK, "stream": True, "max_tokens": 2, "stream_options": USAGE}
    reply = engine.post("/v1/chat/completions", body, x_request_id="abc")
    created = reply.chunks[0]["created"]
    assert abs(created - time.time()) < 60
    start = f'data: {{"id":"chatcmpl-abc","object":"chat.completion.chunk","created":{created},'
    start += '"model":"headgate-simulator","choices":['
    assert reply.body.decode() == (
        start + '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
        + start + '{"index":0,"delta":{"content":"This"},"logprobs":null,"finish_reason":null}]}\n\n'
        + start + '{"index":0,"delta":{"content":" is"},"logprobs":null,"finish_reason":null}]}\n\n'
        + start + '{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}\n\n'
        + start + '],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}}\n\n'
        + "data: [DONE]\n\n"
    )  # fmt: skip
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_every_byte_of_a_text_completion_stream(engine: Engine) -> None:
    body = {"prompt": "a b", "stream": True, "max_tokens": 1, "stream_options": CONTINUOUS}
    reply = engine.post("/v1/completions", body, x_request_id="abc")
    start = f'data: {{"id":"cmpl-abc","object":"text_completion","created":{reply.chunks[0]["created"]},'
    start += '"model":"headgate-simulator","choices":['
    usage = '"usage":{"prompt_tokens":2,"total_tokens":3,"completion_tokens":1}}\n\n'
    assert reply.body.decode() == (
        start + '{"index":0,"text":"This","logprobs":null,"finish_reason":null}],' + usage
        + start + '{"index":0,"text":"","logprobs":null,"finish_reason":"length"}],' + usage
        + start + "]," + usage + "data: [DONE]\n\n"
    )  # fmt: skip


def test_usage_is_in_a_stream_only_as_asked(engine: Engine) -> None:
    wish = {"tokens": 2}
    last = completion_usage(4, 2)
    ask = {"stream": True, "simulate": wish}
    assert usages(engine.chat(**ask)) == ["-"] * 4
    assert usages(engine.chat(**ask, stream_options={"continuous_usage_stats": True})) == ["-"] * 4
    assert usages(engine.chat(**ask, stream_options=USAGE)) == ["-"] * 4 + [last]
    counted = [completion_usage(4, done) for done in (0, 1, 2, 2, 2)]
    assert usages(engine.chat(**ask, stream_options=CONTINUOUS)) == counted
    nulls = engine.chat(stream=True, simulate={**wish, "null_usage": True}, stream_options=USAGE)
    assert usages(nulls) == [None] * 4 + [last]
    none = engine.chat(stream=True, simulate={**wish, "no_usage": True}, stream_options=CONTINUOUS)
    assert usages(none) == ["-"] * 4


def test_usage_in_replies(engine: Engine) -> None:
    usage = {"cached_tokens": 3, "reasoning_tokens": 1}
    reply = engine.chat(simulate={"tokens": 2, **usage}).json["usage"]
    assert reply["prompt_tokens_details"] == {"cached_tokens": 3}
    assert reply["completion_tokens_details"] == {"reasoning_tokens": 1}
    assert engine.chat(simulate={"null_usage": True}).json["usage"] is None
    assert "usage" not in engine.chat(simulate={"no_usage": True}).json
    first = list(engine.chat(simulate={"usage_first": True, "nested_usage": True}).json)
    assert first == ["id", "object", "created", "model", "x_vendor", "usage", "choices"]
    embeddings = {"input": "a b", "simulate": {"usage_first": True}}
    assert list(engine.post("/v1/embeddings", embeddings).json) == ["object", "model", "usage", "data"]


@pytest.mark.parametrize("first", [False, True])
def test_a_nested_usage_comes_before_the_real_one(engine: Engine, first: bool) -> None:
    wish = {"tokens": 2, "nested_usage": True, "usage_first": first}
    reply = engine.chat(stream=True, simulate=wish, stream_options=CONTINUOUS)
    for event in reply.events[:-1]:
        assert event.index('"x_vendor":{"usage":{') < event.rindex('"usage":{"prompt_tokens":4')
        assert (event.rindex('"usage"') < event.index('"choices"')) is first
    assert [usage["completion_tokens"] for usage in usages(reply)] == [0, 1, 2, 2, 2]
    assert reply.content == "This is"


def test_exact_text_passes_as_it_is(engine: Engine) -> None:
    text = 'quote " brace } "usage":{"prompt_tokens":1} back\\slash \n\n data: ü 漢字 🙂 \0'
    assert engine.chat(simulate={"text": text}).json["choices"][0]["message"]["content"] == text
    groups = engine.chat(stream=True, simulate={"text": text})
    assert groups.content == text
    assert groups.chunks[1]["choices"][0]["delta"]["content"] == text[:4]
    three = engine.chat(stream=True, simulate={"text": text, "tokens": 3}, stream_options=USAGE)
    assert three.content == text
    assert three.chunks[-1]["usage"]["completion_tokens"] == 3
    assert engine.chat(stream=True, simulate={"text": ""}).content == ""


@pytest.mark.parametrize("count", [0, 1, 4, 9, 300])
def test_the_number_of_tokens_is_exact(engine: Engine, count: int) -> None:
    reply = engine.chat(stream=True, simulate={"tokens": count, "token_s": 0}, stream_options=USAGE)
    assert len(reply.chunks) == count + 3
    assert reply.chunks[-1]["usage"]["completion_tokens"] == count


def test_max_tokens_hold_unless_the_engine_is_told_to_ignore_them(engine: Engine) -> None:
    held = engine.chat(max_tokens=3, simulate={"tokens": 9}).json
    assert (held["usage"]["completion_tokens"], held["choices"][0]["finish_reason"]) == (3, "length")
    ignored = engine.chat(max_tokens=3, simulate={"tokens": 9, "ignore_max_tokens": True}).json
    assert (ignored["usage"]["completion_tokens"], ignored["choices"][0]["finish_reason"]) == (9, "stop")


def test_reasoning_comes_first_and_counts(engine: Engine) -> None:
    reply = engine.chat(stream=True, simulate={"reasoning": 3, "tokens": 2}, stream_options=USAGE)
    deltas = [list(chunk["choices"][0]["delta"]) for chunk in reply.chunks[1:-1]]
    assert deltas == [["reasoning_content"]] * 3 + [["content"]] * 2 + [[]]
    assert reply.chunks[-1]["usage"]["completion_tokens"] == 5
    message = engine.chat(simulate={"reasoning": 3, "tokens": 2}).json["choices"][0]["message"]
    assert list(message) == ["role", "content", "reasoning_content"]


def test_spaces_and_crlf(engine: Engine) -> None:
    reply = engine.chat(stream=True, simulate={"spaces": True, "tokens": 2}, stream_options=CONTINUOUS)
    assert [json.dumps(chunk) for chunk in reply.chunks] == reply.events[:-1]
    body = engine.chat(simulate={"spaces": True}).body.decode()
    assert json.dumps(json.loads(body), ensure_ascii=False) == body
    crlf = engine.chat(stream=True, simulate={"crlf": True, "tokens": 2}).body
    assert crlf.endswith(b"data: [DONE]\r\n\r\n")
    assert re.search(rb"(?<!\r)\n", crlf) is None
    assert crlf.count(b"\r\n\r\n") == 5


def test_frames_of_a_few_bytes_arrive_apart(engine: Engine) -> None:
    plain = {"tokens": 3, "token_s": 0}
    whole = engine.chat(stream=True, simulate=plain)
    cut = engine.chat(stream=True, simulate={**plain, "frame_bytes": 7})
    assert {len(frame) for frame in cut.frames[:-1]} == {7}
    assert len(cut.frames[-1]) <= 7
    assert cut.events[-1] == "[DONE]"
    assert cut.content == whole.content
    with engine.connect() as peer:
        body = {**ASK, "stream": True, "simulate": {**plain, "frame_bytes": 100}}
        send_request(peer, "/v1/chat/completions", body)
        reads = []
        while part := peer.recv(65536):
            reads.append(part)
    apart = sum(read.startswith(b"64\r\n") for read in reads)
    assert apart > 5  # nearly every frame is a read of its own; a busy machine may join a few


def test_events_in_parts_and_events_together(engine: Engine) -> None:
    parts = engine.chat(stream=True, simulate={"tokens": 2, "frames_per_event": 3})
    assert len(parts.frames) == 3 * 5
    assert b"".join(parts.frames[:3]).startswith(b"data: {")
    assert b"".join(parts.frames[:3]).endswith(b"}\n\n")
    together = engine.chat(stream=True, simulate={"tokens": 6, "coalesce": 4})
    assert [frame.count(b"data: ") for frame in together.frames] == [4, 4, 1]
    body = engine.chat(simulate={"frame_bytes": 50})
    assert body.ended
    assert body.json["model"] == "headgate-simulator"


def test_gzip(engine: Engine) -> None:
    reply = engine.chat(simulate={"content_encoding": "gzip", "tokens": 5})
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["usage"]["completion_tokens"] == 5
    stream = engine.chat(stream=True, simulate={"content_encoding": "gzip", "tokens": 5})
    decompressed = zlib.decompressobj(wbits=31)
    assert decompressed.decompress(stream.frames[0]).startswith(b"data: {")  # each event can be read at once
    assert gzip.decompress(stream.body).endswith(b"data: [DONE]\n\n")


def test_other_types_of_content(engine: Engine) -> None:
    page = engine.chat(stream=True, simulate={"content_type": "text/html"})
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert page.body.startswith(b"<!doctype html>")
    error = engine.chat(simulate={"content_type": "text/html", "status": 502})
    assert (error.status, b"<h1>502</h1>" in error.body) == (502, True)
    labelled = engine.chat(stream=True, simulate={"content_type": "text/event-stream"})
    assert labelled.headers["content-type"] == "text/event-stream"
    assert labelled.events[-1] == "[DONE]"
    plain = engine.chat(stream=True, simulate={"plain_json": True})
    assert (plain.headers["content-type"], plain.json["object"]) == ("application/json", "chat.completion")


def test_headers_and_long_bodies(engine: Engine) -> None:
    reply = engine.chat(simulate={"headers": {"X-Extra": "1", "content-type": "application/problem+json"}})
    assert reply.headers["x-extra"] == "1"
    assert reply.headers["content-type"] == "application/problem+json"
    long = engine.chat(simulate={"body_bytes": 200_000, "tokens": 5}).json
    assert len(long["choices"][0]["message"]["content"]) == 200_000
    assert long["usage"]["completion_tokens"] == 5


def test_embeddings_are_little_endian_floats(engine: Engine) -> None:
    body = {"input": "a", "dimensions": 3}
    floats = engine.post("/v1/embeddings", {**body, "encoding_format": "float"}).json["data"][0]["embedding"]
    packed = engine.post("/v1/embeddings", {**body, "encoding_format": "base64"}).json["data"][0]["embedding"]
    assert list(struct.unpack("<3f", base64.b64decode(packed))) == pytest.approx(floats, rel=1e-6)
    assert isinstance(engine.post("/v1/embeddings", body).json["data"][0]["embedding"], list)
