"""Streams of Anthropic's in all their ways, and clients that are not as they are today."""

import json
from typing import Any

import pytest

from extproc.translate.direction import Known
from extproc.translate.openai_anthropic import OpenAIToAnthropic
from tests.translate.anthropic_events import (
    END,
    PLAIN,
    STOPPED,
    TEXT,
    TOOL,
    WORD,
    closed,
    delta,
    event,
    opened,
    start,
)
from tests.translate.cutting import Outcome, fed, same_however_cut
from tests.translate.golden import KNOWN

DIRECTION = OpenAIToAnthropic()
KNOWN_FUNCTIONS = Known(KNOWN.request_id, KNOWN.created, functions=True)


def outcome(data: bytes) -> Outcome:
    return same_however_cut(lambda: DIRECTION.stream(KNOWN), data)


def chunks(output: bytes) -> list[Any]:
    """The chunks of a complete stream."""
    *events, done, rest = output.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


IGNORED = {
    "pings": event("ping"),
    "kinds of events that are not known yet": event("weather_report", index="x", delta=[1], message=7),
    "kinds of blocks that are not known yet": opened({"type": "hologram", "text": "x"}, 7)
    + delta("input_json_delta", 7, partial_json="{}")
    + delta("hologram_delta", 7)
    + closed(7),
    "kinds of deltas that are not known yet": delta("aroma_delta", scent="lime"),
    "empty words": delta("text_delta", text=""),
    "comments": b": keep-alive\n\n",
    "members that are not known yet": event("content_block_delta", index=0, delta={"type": "x", "y": [{}]}, z=1),
}


@pytest.mark.parametrize("data", IGNORED.values(), ids=IGNORED)
def test_what_is_not_known_is_left_out(data: bytes) -> None:
    first = start(input_tokens=3, output_tokens=1) + opened(TEXT)
    assert outcome(first + data + WORD + closed() + STOPPED + END) == outcome(PLAIN)


def test_null_is_the_same_as_absent() -> None:
    nulls = dict.fromkeys(("thinking", "signature", "data", "id", "name", "citations", "partial_json", "citation"))
    word = delta("text_delta", text="Hi", **{name: nulls[name] for name in ("thinking", "signature", "partial_json")})
    first = start(input_tokens=3, output_tokens=1) + opened({**nulls, **TEXT})
    assert outcome(first + word + closed() + STOPPED + END) == outcome(PLAIN)


def test_nothing_leaves_before_the_first_word() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(start() + event("ping") + opened(TEXT)) == b""
    assert not decoder.started
    assert decoder.feed(WORD).count(b"data: ") == 2  # the role, the word
    assert decoder.started


@pytest.mark.parametrize(
    "begin", [opened(TOOL), opened({"type": "thinking", "thinking": ""}) + delta("thinking_delta", thinking="Hm")]
)
def test_a_tool_call_or_a_thought_is_a_first_word(begin: bytes) -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(start() + begin)
    assert decoder.started


def test_nothing_follows_the_end() -> None:
    decoder = DIRECTION.stream(KNOWN)
    assert decoder.feed(PLAIN + WORD + PLAIN) == fed(DIRECTION.stream(KNOWN), [PLAIN]).output
    assert decoder.feed(PLAIN) == decoder.end() == b""
    assert decoder.failure is None


def test_usage_is_the_latest_of_each_number() -> None:
    first = start(input_tokens=3, cache_read_input_tokens=40, output_tokens=1)
    more = event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 4})
    last = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"input_tokens": 5, "output_tokens": 9})
    found = outcome(first + opened(TEXT) + WORD + closed() + more + last + END)
    assert chunks(found.output)[-1]["usage"] == {
        "prompt_tokens": 45,
        "completion_tokens": 9,
        "total_tokens": 54,
        "prompt_tokens_details": {"cached_tokens": 40},
    }


@pytest.mark.parametrize("stopped", [event("message_delta", delta={"stop_reason": "end_turn"}), b""])
def test_usage_that_is_not_told_is_unknown(stopped: bytes) -> None:
    *_, finish, usage = chunks(outcome(start() + opened(TEXT) + WORD + closed() + stopped + END).output)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"] is None


def test_input_that_comes_with_the_start_of_a_call_is_its_arguments() -> None:
    tool = {**TOOL, "input": {"zone": "UTC", "n": 10}}
    found = chunks(outcome(start() + opened(tool) + closed() + STOPPED + END).output)
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in found[1:3]]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"zone":"UTC","n":10}'


def test_calls_that_are_open_at_once_keep_their_numbers() -> None:
    both = opened(TOOL, 4) + opened({**TOOL, "id": "toolu_2"}, 9)
    written = delta("input_json_delta", 9, partial_json='{"b":1}') + delta(
        "input_json_delta", 4, partial_json='{"a":1}'
    )
    found = chunks(outcome(start() + both + written + closed(9) + closed(4) + STOPPED + END).output)
    deltas = [chunk["choices"][0]["delta"].get("tool_calls", [{}])[0] for chunk in found[1:-2]]
    assert [(call["index"], call.get("id"), call["function"]["arguments"]) for call in deltas] == [
        (0, "toolu_1", ""),
        (1, "toolu_2", ""),
        (1, None, '{"b":1}'),
        (0, None, '{"a":1}'),
    ]


def test_a_client_with_functions_is_told_of_one_call_the_old_way() -> None:
    one = (
        opened(TOOL)
        + delta("input_json_delta", partial_json='{"a":')
        + delta("input_json_delta", partial_json="1}")
        + closed()
    )
    two = opened(TOOL, 1) + delta("input_json_delta", 1, partial_json="{}") + closed(1)
    reason = event("message_delta", delta={"stop_reason": "tool_use"})
    found = same_however_cut(lambda: DIRECTION.stream(KNOWN_FUNCTIONS), start() + one + two + reason + END)
    first, *deltas, finish, _ = (chunk["choices"] and chunk["choices"][0] for chunk in chunks(found.output))
    assert first["delta"] == {"role": "assistant", "content": None}
    calls = [chunk["delta"]["function_call"] for chunk in deltas]
    assert calls[0] == {"name": "get_time", "arguments": ""}
    assert "".join(call["arguments"] for call in calls) == '{"a":1}'
    assert finish["finish_reason"] == "function_call"


def test_a_whole_answer_to_a_client_with_functions() -> None:
    answer = {"type": "message", "model": "m", "content": [{**TOOL, "input": {"a": 1.10}}], "stop_reason": "tool_use"}
    made = DIRECTION.whole(json.dumps(answer).encode(), KNOWN_FUNCTIONS)
    assert isinstance(made, bytes)
    choice = json.loads(made)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "get_time", "arguments": '{"a":1.1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
