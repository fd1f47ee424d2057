"""Anthropic's clients on Gemini, by way of chat completions: every answer of Gemini's that there is a folder for."""

import json
from typing import Any

import pytest
from anthropic import APIStatusError

from extproc.refusal import BadRequest
from extproc.translate import direction_of
from extproc.translate.anthropic_openai.echoes import messages_for_anthropic
from extproc.translate.direction import Direction, Target
from extproc.translate.sealed import Sealed, seal
from tests.translate.cutting import fed, same_however_cut
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.google_requests import checked_gemini
from tests.translate.sdk_clients import anthropic_assembled, anthropic_parsed

STREAMS = cases("openai_gemini", "stream.provider.sse")
ANSWERS = cases("openai_gemini", "answer.provider.json")
BOTH = [case for case in STREAMS if case.has("answer.provider.json")]
NEW = Target("gemini", "gemini-3-pro-preview")
OLD = Target("gemini", "gemini-2.0-flash")
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}}
TEXT = {"type": "text", "text": "What is it?"}


def direction() -> Direction:
    found = direction_of("messages", "gemini")
    assert found is not None
    return found


def asked(*content: Any, **members: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": list(content)}], **members}


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_a_whole_answer_is_a_message(case: Case) -> None:
    made = direction().whole(case.read("answer.provider.json"), KNOWN)
    if isinstance(made, bytes):
        assert anthropic_parsed(made)["type"] == "message"
    else:
        assert made.kind in ("malformed", "server") or made == case.failure


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_becomes_the_same_however_it_is_cut(case: Case) -> None:
    outcome = same_however_cut(lambda: direction().stream(KNOWN), case.read("stream.provider.sse"))
    assert outcome.failure == case.failure
    assert outcome.started == bool(outcome.output)
    if outcome.output and outcome.failure:
        with pytest.raises(APIStatusError) as caught:
            anthropic_assembled(outcome.output)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["error"]["message"] == outcome.failure.message


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_a_stream_put_together_is_the_whole_answer(case: Case) -> None:
    made = direction().whole(case.read("answer.provider.json"), KNOWN)
    streamed = fed(direction().stream(KNOWN), [case.read("stream.provider.sse")])
    if isinstance(made, bytes):
        assert anthropic_assembled(streamed.output) == anthropic_parsed(made)
    else:
        assert streamed.failure


def test_a_request_is_one_of_geminis() -> None:
    body = asked(TEXT, system="Be brief.", stream=True, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    made = direction().request(body, Target("gemini", "gemini-2.5-flash", max_output_tokens=20))
    assert made.path == "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert (made.headers, made.dropped, made.max_tokens) == ((), (), 20)
    sent = json.loads(made.body)
    checked_gemini(sent)
    assert sent["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "What is it?"}]}]
    assert sent["generationConfig"] == {"maxOutputTokens": 20}


CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": [TEXT, IMAGE]}
TURNS = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": [TEXT, CALL]}]
LATER = [{"role": "assistant", "content": "Well"}, {"role": "user", "content": [TEXT, IMAGE]}]
UNSUPPORTED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an image": (asked(TEXT, IMAGE), ("messages[0].content[1].source",)),
    "one in a result": (
        {**asked(), "messages": [*TURNS, {"role": "user", "content": [TEXT, RESULT]}]},
        ("messages[2].content[1].content[1].source",),
    ),
    "in a later turn": (
        {**asked(), "messages": [*TURNS, {"role": "user", "content": [TEXT, RESULT]}, *LATER]},
        ("messages[2].content[1].content[1].source", "messages[4].content[1].source"),
    ),
    "behind a result": (
        {**asked(), "messages": [*TURNS, {"role": "user", "content": [IMAGE, {**RESULT, "content": "x"}]}]},
        ("messages[2].content[0].source",),
    ),
    "a strict tool behind one that is none": (
        asked(
            TEXT, tools=[{"type": "bash_20250124", "name": "bash"}, {"name": "f", "input_schema": {}, "strict": True}]
        ),
        ("tools[0].type", "tools[1].strict"),
    ),
    "a sixth stop sequence": (asked(TEXT, stop_sequences=list("abcdef")), ("stop_sequences[5]",)),
    "an effort": (asked(TEXT, output_config={"effort": "low"}), ("output_config.effort",)),
    "thinking": (asked(TEXT, thinking={"type": "enabled", "budget_tokens": 2000}), ("thinking",)),
    "one call at a time": (
        asked(
            TEXT,
            tools=[{"name": "f", "input_schema": {}}],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        ),
        ("tool_choice.disable_parallel_tool_use",),
    ),
}


@pytest.mark.parametrize(("body", "names"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_gemini_cannot_do_is_named_as_the_client_wrote_it(body: dict[str, Any], names: tuple[str, ...]) -> None:
    assert direction().unsupported(body, OLD) == names
    assert direction().request(body, OLD).dropped == names


def test_what_makes_no_difference_is_left_out_and_named() -> None:
    body = asked(TEXT, metadata={"user_id": "u"})
    assert direction().unsupported(body, OLD) == ()
    assert direction().request(body, OLD).dropped == ("metadata.user_id",)


@pytest.mark.parametrize("case", BOTH, ids=str)
def test_calls_are_signed_as_they_were_once_the_answer_is_sent_back(case: Case) -> None:
    answer = case.json("answer.provider.json")
    said = [part for one in answer.get("candidates", [])[:1] for part in one.get("content", {}).get("parts", [])]
    signed = [part.get("thoughtSignature") for part in said if "functionCall" in part]
    whole = direction().whole(case.read("answer.provider.json"), KNOWN)
    if not signed or not isinstance(whole, bytes):
        return
    for message in (
        anthropic_parsed(whole),
        anthropic_assembled(fed(direction().stream(KNOWN), [case.stream]).output),
    ):
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "x"}
            for block in message["content"]
            if block["type"] == "tool_use"
        ]
        turns = [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": results}]
        made = direction().request({**asked(), "messages": [*TURNS[:1], *turns]}, NEW)
        checked_gemini(json.loads(made.body))
        content = json.loads(made.body)["contents"][1]
        calls = [part for part in content["parts"] if "functionCall" in part]
        first = signed[0] or "skip_thought_signature_validator"
        assert [part.get("thoughtSignature") for part in calls] == [first, *signed[1:]]


def test_a_signature_of_google_reaches_anthropic_itself_in_no_request() -> None:
    sealed = seal(Sealed(signatures={"c1": "EqQB"}))
    thought = {"type": "thinking", "thinking": "Hm", "signature": sealed}
    own = {"type": "thinking", "thinking": "Hm", "signature": "ErQC"}
    made = messages_for_anthropic([{"role": "assistant", "content": [thought, own, CALL]}])
    assert made == [{"role": "assistant", "content": [own, CALL]}]


def test_a_mistake_is_told_by_the_clients_path() -> None:
    body = {**asked(), "messages": [{"role": "user", "content": [TEXT, RESULT]}]}
    with pytest.raises(BadRequest) as refused:
        direction().request(body, OLD)
    assert refused.value.param == "messages[0].content[1].tool_use_id"
    assert "'messages[0].content[1].tool_use_id' names 'c1'" in refused.value.message
