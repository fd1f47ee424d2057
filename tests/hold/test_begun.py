"""Whether a provider's stream has begun, or says that it will not: every sign, however it is cut, and no other."""

import json
from typing import Any

import pytest
from beginning import BEGUN, BROKEN_OFF, FAILED, LIMITED, NOT_YET, Beginning, beginning, cuts
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.translate import direction_of
from extproc.translate.direction import Known
from extproc.translate.openai_errors import failure_in


def choice(reason: str | None = None, **delta: Any) -> bytes:
    found = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return data({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [found]})


def data(value: Any, **spelling: Any) -> bytes:
    return b"data: " + json.dumps(value, **spelling).encode() + b"\n\n"


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **members})


def block(**content: Any) -> bytes:
    return event("content_block_start", index=0, content_block=content)


def delta(**content: Any) -> bytes:
    return event("content_block_delta", index=0, delta=content)


USAGE = {"input_tokens": 3, "output_tokens": 1}
MESSAGE = {"type": "message", "role": "assistant", "content": [], "stop_reason": None, "usage": USAGE}
START = event("message_start", message=MESSAGE)
TEXT = block(type="text", text="")
CALL = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}
DONE = b"data: [DONE]\n\n"
STOP = event("message_stop")

OPENAI: dict[str, tuple[bytes, Beginning]] = {
    "content": (choice(role="assistant", content="Hi"), BEGUN),
    "content of one quotation mark": (choice(content='"'), BEGUN),
    "reasoning_content": (choice(content=None, reasoning_content="Hm"), BEGUN),
    "reasoning": (choice(content="", reasoning="Hm"), BEGUN),
    "refusal": (choice(content=None, refusal="No"), BEGUN),
    "parts": (choice(content=[{"type": "text", "text": "Hi"}]), BEGUN),
    "thinking in parts": (choice(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]), BEGUN),
    "tool_calls": (choice(content=None, tool_calls=[CALL]), BEGUN),
    "finish_reason": (choice("stop"), BEGUN),
    "role": (choice(role="assistant", content="", reasoning=None, refusal=None, tool_calls=[]), NOT_YET),
    "role, then content": (choice(role="assistant", content="") + choice(content="Hi"), BEGUN),
    "usage": (data({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}), NOT_YET),
    "logprobs without a text": (
        data({"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a", "bytes": [97]}], "refusal": []}}]}),
        NOT_YET,
    ),
    "a comment": (b": content\n\n:\n\n", NOT_YET),
    "an event without data": (b"event: error\nid: 1\nretry: 5\n\n", NOT_YET),
    "a text of no name": (data({"choices": [{"delta": {"parts": [{"text": None}, "Hi"]}}]}), NOT_YET),
    "error object": (data({"error": {"message": "m", "type": "server_error", "code": None}}), FAILED),
    "error text": (data({"error": "out of memory"}), FAILED),
    "error with null": (data({"error": None, "choices": []}), NOT_YET),
    "error of a filter": (data({"prompt_filter_results": [{"error": {"code": "x"}}], "choices": []}), NOT_YET),
    "vLLM's error": (data({"object": "error", "message": "m", "type": "InternalServerError", "code": 500}), FAILED),
    "a named error": (b'event: error\ndata: {"detail":"m"}\n\n', FAILED),
    "a named error of text": (b"event:error\ndata: overloaded\n\n", FAILED),
    "a name that was replaced": (b"event: error\nevent: x\ndata: {}\n\n", NOT_YET),
    "error beside choices": (data({"choices": [{"delta": {"content": "Hi"}}], "error": {"code": 502}}), FAILED),
    "finish_reason error": (choice("error", content="Hi"), FAILED),
    "finish_reason abort": (choice("abort"), FAILED),
    "finish_reason of DeepSeek's": (choice("insufficient_system_resource"), FAILED),
    "code 429": (data({"error": {"message": "m", "code": 429}}), LIMITED),
    "code 429 as text": (data({"error": {"code": "429", "message": "m"}}), LIMITED),
    "code of vLLM's error": (data({"object": "error", "message": "m", "type": "x", "code": 429}), LIMITED),
    "rate_limit_exceeded": (data({"error": {"message": "m", "code": "rate_limit_exceeded"}}), LIMITED),
    "insufficient_quota": (data({"error": {"message": "m", "type": "insufficient_quota"}}), LIMITED),
    "Gemini's": (data({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}), LIMITED),
    "Gemini's status alone": (data({"error": {"message": "m", "status": "RESOURCE_EXHAUSTED"}}), LIMITED),
    "type requests": (data({"error": {"message": "m", "type": "requests", "code": None}}), LIMITED),
    "a limit in the message": (data({"error": {"message": "no rate_limit_exceeded", "code": 500}}), FAILED),
    "a code that has 429 in it": (data({"error": {"code": 4290}}), FAILED),
    "a limit deep inside": (data({"error": {"code": 500, "details": [{"status": "RESOURCE_EXHAUSTED"}]}}), FAILED),
    "[DONE] at once": (DONE, BROKEN_OFF),
    "bad JSON": (choice(content="Hi")[:-6] + b"\n\n", BROKEN_OFF),
    "bad JSON behind a text": (b'data: {"choices":[{"delta":{"content":"Hi"}}]\n\n', BROKEN_OFF),
    "a list": (b"data: []\n\n", BROKEN_OFF),
    "no JSON": (b"data: hello\n\n", BROKEN_OFF),
    "no data": (b"data:\n\n", BROKEN_OFF),
    "data without a colon": (b"data\n\n", BROKEN_OFF),
    "two documents": (b"data: {}{}\n\n", BROKEN_OFF),
}
ANTHROPIC: dict[str, tuple[bytes, Beginning]] = {
    "message_start": (START, NOT_YET),
    "ping": (event("ping"), NOT_YET),
    "content_block_start": (START + TEXT, NOT_YET),
    "text_delta": (START + TEXT + delta(type="text_delta", text="Hi"), BEGUN),
    "thinking_delta": (
        START + block(type="thinking", thinking="") + delta(type="thinking_delta", thinking="Hm"),
        BEGUN,
    ),
    "text_delta of nothing": (START + TEXT + delta(type="text_delta", text=""), NOT_YET),
    "signature_delta": (START + TEXT + delta(type="signature_delta", signature="EqQ"), NOT_YET),
    "text in the block": (START + block(type="text", text="Hi"), BEGUN),
    "tool_use": (START + block(type="tool_use", id="t", name="f", input={}), BEGUN),
    "a server's tool": (START + block(type="server_tool_use", id="t", name="text", input={"text": "q"}), NOT_YET),
    "an empty answer": (
        START + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 0}) + STOP,
        BEGUN,
    ),
    "message_delta": (START + event("message_delta", delta={"stop_reason": "end_turn"}), NOT_YET),
    "an unknown kind": (START + TEXT + event("content_block_x", delta={"text": "Hi"}), NOT_YET),
    "error": (START + event("error", error={"type": "overloaded_error", "message": "m"}), FAILED),
    "error behind an empty delta": (
        START + TEXT + delta(type="text_delta", text="") + event("error", error={"type": "api_error"}),
        FAILED,
    ),
    "error without a name": (data({"type": "error", "error": {"type": "api_error", "message": "m"}}), FAILED),
    "rate_limit_error": (event("error", error={"type": "rate_limit_error", "message": "m"}), LIMITED),
    "a limit in front of the type": (
        data({"error": {"type": "rate_limit_error", "message": "m"}, "type": "error"}),
        LIMITED,
    ),
    "message_stop at once": (STOP, BROKEN_OFF),
    "a delta at once": (delta(type="text_delta", text="Hi"), BROKEN_OFF),
    "a delta without a block": (START + delta(type="text_delta", text="Hi"), BROKEN_OFF),
    "a second start": (START + START, BROKEN_OFF),
    "a block at once": (TEXT, BROKEN_OFF),
    "bad JSON": (START[:-12] + b"\n\n", BROKEN_OFF),
    "bad JSON in a delta": (START + TEXT + delta(type="text_delta", text="Hi")[:-4] + b"\n\n", BROKEN_OFF),
}


def candidate(*parts: Any, **members: Any) -> bytes:
    return data({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **members}]})


GEMINI_CALL = {"functionCall": {"name": "f", "args": {}}}
SEARCHED = {
    "groundingChunks": [{"text": "Hi", "web": {"uri": "u"}}],
    "groundingSupports": [{"segment": {"text": "a"}}],
}
GEMINI: dict[str, tuple[bytes, Beginning]] = {
    "Gemini's text": (candidate({"text": "Hi"}), BEGUN),
    "Gemini's thinking": (candidate({"text": "Hm", "thought": True}), BEGUN),
    "Gemini's call": (candidate(GEMINI_CALL), BEGUN),
    "Gemini's second part": (candidate({"text": ""}, {"text": "Hi"}), BEGUN),
    "Gemini's second candidate": (
        data({"candidates": [{"content": {"parts": []}}, {"content": {"parts": [{"text": "Hi"}]}, "index": 1}]}),
        BEGUN,
    ),
    "Gemini's finishReason": (data({"candidates": [{"finishReason": "STOP", "index": 0}]}), BEGUN),
    "Gemini's refusal": (data({"candidates": [{"finishReason": "SAFETY"}]}), BEGUN),
    "Gemini's blockReason": (data({"promptFeedback": {"blockReason": "SAFETY"}}), BEGUN),
    "no blockReason": (
        data({"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED", "safetyRatings": []}}),
        NOT_YET,
    ),
    "no finishReason": (candidate({"text": ""}, finishReason="FINISH_REASON_UNSPECIFIED"), NOT_YET),
    "a signature": (candidate({"text": "", "thoughtSignature": "EqQ"}), NOT_YET),
    "Gemini's usage": (data({"usageMetadata": {"promptTokenCount": 3}, "modelVersion": "text"}), NOT_YET),
    "what was searched for": (candidate({"text": ""}, groundingMetadata=SEARCHED), NOT_YET),
    "tokens without a text": (
        candidate({"text": ""}, logprobsResult={"chosenCandidates": [{"token": "text", "text": "Hi"}]}),
        NOT_YET,
    ),
    "a text beside the parts": (data({"candidates": [{"content": {"text": "Hi", "x": {"text": "Hi"}}}]}), NOT_YET),
    "an empty text, then one": (candidate({"text": ""}) + candidate({"text": "Hi"}), BEGUN),
    "MALFORMED_FUNCTION_CALL": (candidate({"text": "Hi"}, finishReason="MALFORMED_FUNCTION_CALL"), FAILED),
    "UNEXPECTED_TOOL_CALL": (data({"candidates": [{"finishReason": "UNEXPECTED_TOOL_CALL"}]}), FAILED),
    "Gemini's error": (data({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}), FAILED),
    "Gemini's limit": (data({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}), LIMITED),
    "Gemini's bad JSON": (candidate({"text": "Hi"})[:-6] + b"\n\n", BROKEN_OFF),
    "Gemini's list": (b"data: [" + candidate({"text": "Hi"})[6:-2] + b"]\n\n", BROKEN_OFF),
}


def cohere(kind: str, **message: Any) -> bytes:
    return event(kind, index=0, delta={"message": message})


COHERE_START = cohere("message-start", role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])
OPENED = COHERE_START + cohere("content-start", content={"type": "text", "text": ""})
COHERE_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
COHERE: dict[str, tuple[bytes, Beginning]] = {
    "message-start": (COHERE_START, NOT_YET),
    "content-start": (OPENED, NOT_YET),
    "content-start with a text": (
        COHERE_START + cohere("content-start", content={"type": "text", "text": "Hi"}),
        BEGUN,
    ),
    "content-delta": (OPENED + cohere("content-delta", content={"text": "Hi"}), BEGUN),
    "content-delta of thinking": (OPENED + cohere("content-delta", content={"thinking": "Hm"}), BEGUN),
    "content-delta of nothing": (OPENED + cohere("content-delta", content={"text": ""}), NOT_YET),
    "content-delta of another kind": (OPENED + cohere("content-delta", content={"scent": "lime"}), NOT_YET),
    "a text beside the content": (OPENED + cohere("content-delta", x={"text": "Hi"}, content={"text": ""}), NOT_YET),
    "a likeliness": (
        OPENED + event("content-delta", logprobs={"text": "Hi"}, delta={"message": {"content": {"text": ""}}}),
        NOT_YET,
    ),
    "content-end": (OPENED + event("content-end", index=0), NOT_YET),
    "tool-plan-delta": (COHERE_START + cohere("tool-plan-delta", tool_plan="I"), BEGUN),
    "tool-plan-delta of nothing": (COHERE_START + cohere("tool-plan-delta", tool_plan=""), NOT_YET),
    "tool-call-start": (COHERE_START + cohere("tool-call-start", tool_calls=COHERE_CALL), BEGUN),
    "tool-call-delta at once": (COHERE_START + cohere("tool-call-delta", tool_calls=COHERE_CALL), BROKEN_OFF),
    "content-end at once": (event("content-end", index=0), BROKEN_OFF),
    "citation-start": (OPENED + cohere("citation-start", citations={"start": 0, "text": "Hi"}), NOT_YET),
    "message-end": (COHERE_START + event("message-end", delta={"finish_reason": "COMPLETE", "usage": {}}), BEGUN),
    "message-end behind its type": (
        COHERE_START + data({"delta": {"finish_reason": "MAX_TOKENS"}, "type": "message-end"}),
        BEGUN,
    ),
    "Cohere's debug": (event("debug", prompt="text") + COHERE_START, NOT_YET),
    "Cohere's error": (COHERE_START + event("message-end", delta={"finish_reason": "ERROR", "error": "m"}), FAILED),
    "Cohere's timeout": (OPENED + event("message-end", delta={"finish_reason": "TIMEOUT"}), FAILED),
    "an error at a good end": (
        OPENED + event("message-end", delta={"finish_reason": "COMPLETE", "error": "m"}),
        FAILED,
    ),
    "no error at a good end": (
        OPENED + event("message-end", delta={"finish_reason": "COMPLETE", "error": None}),
        BEGUN,
    ),
    "message-end without a reason": (COHERE_START + event("message-end", delta={"finish_reason": None}), BROKEN_OFF),
    "message-end at once": (event("message-end", delta={"finish_reason": "COMPLETE"}), BROKEN_OFF),
    "message-start twice": (COHERE_START + COHERE_START, BROKEN_OFF),
    "content-start at once": (cohere("content-start", content={"type": "text", "text": "Hi"}), BROKEN_OFF),
    "content-delta without a start": (COHERE_START + cohere("content-delta", content={"text": "Hi"}), BROKEN_OFF),
    "tool-call-start at once": (cohere("tool-call-start", tool_calls=COHERE_CALL), BROKEN_OFF),
    "Cohere's bad JSON": (OPENED + cohere("content-delta", content={"text": "Hi"})[:-4] + b"\n\n", BROKEN_OFF),
}
EVENTS_OF_COHERE = sorted({part + b"\n\n" for stream, _ in COHERE.values() for part in stream.split(b"\n\n") if part})
SIGNS = [*OPENAI.items(), *ANTHROPIC.items(), *GEMINI.items(), *COHERE.items()]
ids = [name for name, _ in SIGNS]


@pytest.mark.parametrize(("stream", "expected"), [case for _, case in SIGNS], ids=ids)
def test_every_sign_cut_at_every_index(stream: bytes, expected: Beginning) -> None:
    assert {beginning(pieces) for pieces in cuts(stream)} == {expected}


@pytest.mark.parametrize(("stream", "expected"), [case for _, case in SIGNS], ids=ids)
def test_every_sign_whatever_the_white_space(stream: bytes, expected: Beginning) -> None:
    dense = stream.replace(b": ", b":").replace(b", ", b",")
    wide = stream.replace(b'":', b'" \t:').replace(b'": ', b'":   ').replace(b", ", b" ,  ")
    lines = [dense, wide, b"\xef\xbb\xbf" + stream, b"\n\n" + stream]
    spelled = [one.replace(b"\n", end) for one in (stream, *lines) for end in (b"\n", b"\r\n", b"\r")]
    assert {beginning([one]) for one in spelled} == {expected}
    assert {beginning([one[at : at + 1] for at in range(len(one))]) for one in spelled} == {expected}


@pytest.mark.parametrize(("stream", "expected"), [case for _, case in SIGNS], ids=ids)
def test_a_stream_that_ends(stream: bytes, expected: Beginning) -> None:
    """Its last event too, where nothing ended that; one that has said nothing is broken off."""
    ended = BROKEN_OFF if expected is NOT_YET else expected
    assert beginning([stream], ends=True) == ended
    assert beginning([stream.rstrip(b"\n")], ends=True) == ended


def test_an_event_counts_at_its_end() -> None:
    """Not before: what it says can still change, and a decoder sees no part of it."""
    for sign in (choice(content="Hi"), data({"error": {"message": "m"}}), DONE):
        assert {beginning(pieces) for pieces in cuts(sign[:-1])} == {NOT_YET}


def test_nothing_is_broken_off() -> None:
    assert beginning([], ends=True) == BROKEN_OFF
    assert beginning([b"", b"\n"], ends=True) == BROKEN_OFF


WORDS = ['event: error\n\ndata: {"error":{"code":429}}', '"error":{"code":1}', "[DONE]", '{"type":"error"}']


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_says_nothing_of_the_stream(words: str, ascii_only: bool) -> None:
    """The model's, or what a provider repeats of the request."""
    said = data({"choices": [{"delta": {"content": words}}]}, ensure_ascii=ascii_only)
    repeated = data({"system_fingerprint": words, "choices": [], "x": {"error": words}}, ensure_ascii=ascii_only)
    assert {beginning(pieces) for pieces in cuts(said)} == {BEGUN}
    assert {beginning(pieces) for pieces in cuts(repeated)} == {NOT_YET}
    twice = data({"type": "message_start", "message": {"content": [], "id": words}})
    assert {beginning(pieces) for pieces in cuts(twice)} == {NOT_YET}


LIMITS = ["rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "RESOURCE_EXHAUSTED", "too_many_requests",
          "tokens", "requests", 429, "429"]  # fmt: skip


@pytest.mark.parametrize("member", ["code", "type", "status"])
@pytest.mark.parametrize("word", [*LIMITS, "overloaded_error", "timeout", "server_error", 503, "4290", None])
def test_a_limit_is_what_the_decoder_takes_for_one(member: str, word: str | int | None) -> None:
    event = data({"error": {"message": "m", member: word}})
    status = failure_in(event.removeprefix(b"data: ")).status
    assert (beginning([event]), status == 429) == ((LIMITED, True) if word in LIMITS else (FAILED, False))


def test_data_in_several_lines_is_one_document() -> None:
    lines = b'data: {"error":\ndata: {"code":\ndata\ndata:429}}\n\n'
    assert {beginning(pieces) for pieces in cuts(lines)} == {LIMITED}
    assert beginning([b'data: {"error":"a\ndata: b"}\n\n']) == BROKEN_OFF  # no string goes over two lines


def test_what_says_nothing_for_long_counts_as_begun() -> None:
    ping = event("ping")
    assert beginning([ping] * (65_536 // len(ping))) == NOT_YET
    assert beginning([ping] * (65_536 // len(ping) + 1)) == BEGUN
    assert beginning([b"data: " + b"[" * 70_000]) == BEGUN
    assert beginning([b'data: {"a":' + b"[" * 100 + b"]" * 100 + b"}\n\n"]) == BROKEN_OFF  # as deep as no answer is


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), JSONS), st.booleans(), st.sampled_from([None, 1]), st.data())
def test_any_object_is_one_and_a_part_of_it_is_none(
    value: dict[str, Any], ascii_only: bool, indent: int | None, drawn: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).replace("\n", " ").encode()
    assert beginning([b"data: ", text, b"\n\n"]) == NOT_YET
    part = text[: drawn.draw(st.integers(0, len(text) - 1))]
    assert beginning([b"data: ", part, b"\n\n"]) == BROKEN_OFF


PARTS = {
    "openai": [*(stream for stream, _ in OPENAI.values() if stream.endswith(b"\n\n")), b": ping\n\n"],
    "anthropic": [START, TEXT, STOP, event("ping"), event("error", error={"type": "rate_limit_error"}),
                  event("content_block_stop", index=0), delta(type="text_delta", text=""),
                  delta(type="text_delta", text="Hi"), START[:-12] + b"\n\n", event("message_delta", delta={})],
    "gemini": [*(stream for stream, _ in GEMINI.values()), b": ping\n\n", data({})],
    "cohere": [*EVENTS_OF_COHERE, b": ping\n\n", data({}), event("tool-call-end", index=0)],
}  # fmt: skip
CLIENTS = {"openai": "messages", "anthropic": "chat", "gemini": "chat", "cohere": "chat"}
# Of these the decoder says that they make no sense; that is not looked for.
NOT_LOOKED_FOR = ("that is not open", "of which has not ended", "where none can start", "another kind")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(PARTS)), st.data())
def test_the_decoders_say_the_same(api: str, drawn: st.DataObject) -> None:
    """Event by event: begun when they have begun, failed when they have failed before that."""
    parts = drawn.draw(st.lists(st.sampled_from(PARTS[api]), max_size=6))
    direction = direction_of(CLIENTS[api], api)
    assert direction
    decoder = direction.stream(Known("r", 1))
    for number, part in enumerate(parts, 1):
        decoder.feed(part)
        found = beginning(parts[:number])
        failure = decoder.failure
        if failure and any(words in failure.message for words in NOT_LOOKED_FOR):
            return
        if failure:
            assert found == {429: LIMITED, 502: found}.get(failure.status, FAILED)
            assert found in (BROKEN_OFF, FAILED, LIMITED)
        if failure or found is not NOT_YET:
            assert failure or decoder.started or b"finish_reason" in part
            return
        assert not decoder.started
