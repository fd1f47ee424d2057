"""Event streams of Anthropic's Messages API, as its documentation and SDK have them, one per peculiarity."""

import json
from typing import Any

from streams import NASTY

START_USAGE = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
    "cache_read_input_tokens": 1000,
    "output_tokens": 1,
    "service_tier": "standard",
    "inference_geo": "not_available",
}
DELTA_USAGE = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 89,
    "output_tokens_details": {"thinking_tokens": 30},
    "server_tool_use": {"web_search_requests": 1},
}
STOP = {"type": "message_stop"}
PING = {"type": "ping"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": 'no "usage":{"output_tokens":9}'}}


def start(usage: Any = START_USAGE, **members: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    return {"type": "message_start", "message": {**message, "stop_sequence": None, "usage": usage, **members}}


def block(index: int = 0, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content or {"type": "text", "text": ""}}


def delta(index: int = 0, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": content}


def text(*words: str, index: int = 0) -> list[dict[str, Any]]:
    return [delta(index, type="text_delta", text=word) for word in words]


def arguments(*parts: str, index: int = 0) -> list[dict[str, Any]]:
    return [delta(index, type="input_json_delta", partial_json=part) for part in parts]


def thinking(*parts: str, index: int = 0) -> list[dict[str, Any]]:
    return [delta(index, type="thinking_delta", thinking=part) for part in parts]


def stop(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(usage: Any = DELTA_USAGE, reason: str = "end_turn") -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def event(data: dict[str, Any], *, newline: str = "\n", spaced: bool = True, ascii_only: bool = False) -> bytes:
    written = json.dumps(data, separators=None if spaced else (",", ":"), ensure_ascii=ascii_only)
    return f"event: {data.get('type')}{newline}data: {written}{newline}{newline}".encode()


def stream(*events: dict[str, Any], **spelling: Any) -> bytes:
    return b"".join(event(data, **spelling) for data in events)


SAID = (start(), block(), PING, *text("Hel", "lo", "!"), stop())
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
CITED = {"type": "char_location", "cited_text": "not said", "document_index": 0, "start_char_index": 0}
RESULTS = [{"type": "web_search_result", "title": "t", "encrypted_content": "xx", "text": "found"}]
ITERATIONS = [{"type": "message", **START_USAGE, "output_tokens": 7}, {"type": "compaction", "input_tokens": 3}]

STREAMS = {
    "text": stream(*SAID, end(), STOP),
    "no spaces": stream(*SAID, end(), STOP, spaced=False),
    "crlf": stream(*SAID, end(), STOP, newline="\r\n"),
    "ascii": stream(start(), *text("é漢😀", NASTY), end(), STOP, ascii_only=True),
    "utf-8": stream(start(), *text("é漢😀", NASTY), end(), STOP),
    "usage in the text": stream(start(), *text('"usage":{"input_tokens":7}', '"message":{', "usage"), end(), STOP),
    "tools": stream(
        *SAID,
        block(1, **TOOL),
        *arguments("", '{"city": ', '"Zü', 'rich", "usage": {"output_tokens": 5}}', index=1),
        stop(1),
        end(reason="tool_use"),
        STOP,
    ),
    "thinking": stream(
        start(),
        block(type="thinking", thinking="", signature=""),
        *thinking("Let ", "me see"),
        delta(type="signature_delta", signature="EqQBCgIYAhIM"),
        stop(),
        block(1, type="redacted_thinking", data="EmwKAhgBEgy3va3"),
        stop(1),
        block(2),
        *text("42", index=2),
        stop(2),
        end(),
        STOP,
    ),
    "citations": stream(start(), *text("said"), delta(type="citations_delta", citation=CITED), end(), STOP),
    "search": stream(
        start(), block(type="web_search_tool_result", tool_use_id="s", content=RESULTS), *text("so"), end(), STOP
    ),
    "a compaction": stream(start(), delta(type="compaction_delta", content="so far", encrypted_content="x"), end()),
    "iterations": stream(
        start({"iterations": ITERATIONS, **START_USAGE}), *text("a"), end({"iterations": ITERATIONS, **DELTA_USAGE})
    ),
    "an error in the middle": stream(*SAID[:4], OVERLOADED),
    "an error at once": stream(OVERLOADED),
    "cut off after the start": stream(start(), block()),
    "cut off in an event": stream(*SAID, end())[:-40],
    "cut off in front of the usage": stream(*SAID),
    "output alone at the end": stream(*SAID, end({"output_tokens": 15}), STOP),
    "nulls at the end": stream(
        *SAID, end({"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 15}), STOP
    ),
    "zeros at the end": stream(
        *SAID, end({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 15}), STOP
    ),
    "zeros at the start": stream(start({"input_tokens": 0, "output_tokens": 0}), *text("a"), end(), STOP),
    "zeros all along": stream(
        start({"input_tokens": 0, "output_tokens": 0}), *text("a"), end({"input_tokens": 0, "output_tokens": 0}), STOP
    ),
    "more at the end": stream(*SAID, end({**DELTA_USAGE, "input_tokens": 7000}), STOP),
    "a cache that the start knew nothing of": stream(
        start({"input_tokens": 1125, "output_tokens": 1}), *text("a"), end(), STOP
    ),
    "several reports": stream(start(), *text("a"), end({"output_tokens": 9}), *text("b"), end({"output_tokens": 21})),
    "no cache": stream(start({"input_tokens": 12, "output_tokens": 3}), *text("a"), end({"output_tokens": 5}), STOP),
    "a cache alone": stream(start({"cache_read_input_tokens": 12}), *text("a"), end({"output_tokens": 5}), STOP),
    "no usage": stream(start(None), *text("a"), end(None), STOP),
    "no start": stream(*text("a"), end(), STOP),
    "usage first": stream(
        {"message": {"usage": START_USAGE, "content": []}, "type": "message_start"},
        {"delta": {"text": "ab", "type": "text_delta"}, "type": "content_block_delta"},
        {"usage": DELTA_USAGE, "delta": {"stop_reason": "end_turn"}, "type": "message_delta"},
    ),
    "usage in other places": stream(
        {"x": {"message": {"usage": {"input_tokens": 7}}, "delta": {"text": "b"}}, **start(x={"usage": {"a": 1}})},
        {"delta": {"x": {"text": "no"}, "type": "text_delta", "text": "a"}, "x": [{"usage": DELTA_USAGE}]},
        end({"x": {"output_tokens": 3, "input_tokens": 4}, "output_tokens": 5, "y": [{"thinking_tokens": 6}]}),
    ),
    "both usages": stream(
        {"usage": {"input_tokens": 3, "output_tokens": 2}, **start()},
        {**start({"input_tokens": 9}), "usage": {"input_tokens": 4, "output_tokens": 6}},
    ),
    "comments": b": hello\n\n" + stream(*SAID) + b": ping\n\n" + stream(end(), STOP),
    "OpenAI's": stream({"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 3}}),
    "empty": b"",
}
