"""Responses made of every provider's answers that there are golden folders for: whole and streamed, through one
direction and through two.
"""

import json
from typing import Any

import pytest

from extproc.translate import direction_of
from extproc.translate.direction import Direction
from tests.translate.cutting import fed, same_however_cut
from tests.translate.golden import KNOWN, Case, cases
from tests.translate.openai_responses import (
    ENDS,
    checked_events,
    checked_response,
    deltas_in,
    response_in,
    sdk_response,
)

# The provider's API -> the folder with its answers
FOLDERS = {"openai": "anthropic_openai", "anthropic": "openai_anthropic", "gemini": "openai_gemini"}


def direction(api: str) -> Direction:
    found = direction_of("responses", api)
    assert found is not None
    return found


WHOLE = [(api, case) for api, folder in FOLDERS.items() for case in cases(folder, "answer.provider.json")]
STREAMED = [(api, case) for api, folder in FOLDERS.items() for case in cases(folder, "stream.provider.sse")]
BOTH = [(api, case) for api, case in STREAMED if case.has("answer.provider.json")]


def named(pairs: list[tuple[str, Case]]) -> list[str]:
    return [f"{api}-{case}" for api, case in pairs]


@pytest.mark.parametrize(("api", "case"), WHOLE, ids=named(WHOLE))
def test_a_whole_answer_is_a_response(api: str, case: Case) -> None:
    made = direction(api).whole(case.read("answer.provider.json"), KNOWN)
    if not isinstance(made, bytes):
        assert made.kind in ("malformed", "server") or made == case.failure
        return
    response = checked_response(made)
    assert (response["id"], response["object"], response["store"]) == ("resp_3f2a9c1e", "response", False)
    assert response["output"]
    assert response["status"] in ("completed", "incomplete")
    assert (response["status"] == "incomplete") == (response["incomplete_details"] is not None)


@pytest.mark.parametrize(("api", "case"), STREAMED, ids=named(STREAMED))
def test_a_stream_is_events_of_one_response_however_it_is_cut(api: str, case: Case) -> None:
    outcome = same_however_cut(lambda: direction(api).stream(KNOWN), case.read("stream.provider.sse"))
    assert outcome.started == bool(outcome.output)
    if not outcome.output:
        assert outcome.failure
        return
    events = checked_events(outcome.output)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind for kind in kinds if kind in ENDS] == [kinds[-1]]
    assert (kinds[-1] == "response.failed") == (outcome.failure is not None)
    response = events[-1]["response"]
    if outcome.failure:
        assert response["error"]["message"] == outcome.failure.message
        return
    for kind in ("added", "done"):
        items = [event["output_index"] for event in events if event["type"] == f"response.output_item.{kind}"]
        assert sorted(items) == list(range(len(response["output"])))
    done = {event["output_index"]: event["item"] for event in events if event["type"] == "response.output_item.done"}
    assert [done[index] for index in sorted(done)] == response["output"]
    for (index, part, kind), text in deltas_in(events).items():
        item = response["output"][index]
        if "content" in item:
            assert text == item["content"][part].get("text", item["content"][part].get("refusal"))
        else:
            assert text == item.get("arguments", item.get("input")), kind


# Their streams tell what the whole answers do not: what was thought between the words and the calls.
INTERLEAVED = ("anthropic-reasoning_interleaved", "anthropic-reasoning_between_tools")


@pytest.mark.parametrize(("api", "case"), BOTH, ids=named(BOTH))
def test_a_stream_put_together_is_the_whole_answer(api: str, case: Case) -> None:
    made = direction(api).whole(case.read("answer.provider.json"), KNOWN)
    streamed = fed(direction(api).stream(KNOWN), [case.read("stream.provider.sse")])
    if not isinstance(made, bytes) or streamed.failure:
        assert not isinstance(made, bytes)
        assert streamed.failure
        return
    whole, found = spelled_alike(json.loads(made)), spelled_alike(response_in(streamed.output))
    if f"{api}-{case}" in INTERLEAVED:
        assert text_of(found) == text_of(whole)
        whole["output"] = found["output"] = None
    assert found == whole
    if found["status"] == "completed":
        assert sdk_response(streamed.output).output_text == text_of(response_in(streamed.output))


def spelled_alike(response: dict[str, Any]) -> dict[str, Any]:
    """Arguments of calls are the same, however they are spaced."""
    for item in response["output"]:
        if item["type"] == "function_call" and item["status"] == "completed":
            item["arguments"] = json.loads(item["arguments"] or "{}")
    return response


def text_of(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts)
