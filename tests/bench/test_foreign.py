"""What the upstream writes as a provider of another API is what that API's own clients read."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from google.genai.types import GenerateContentResponse

from bench.answers import PIECE
from bench.foreign import FOREIGN, Foreign
from bench.http import Response, may_be_complete, response_of
from tests.translate.bedrock_frames import read_by_botocore
from tests.translate.cohere_requests import Event
from tests.translate.sdk_clients import anthropic_assembled

TEXT = " 00001 00002 00003 00004 00005"

BY_API = {foreign.api: foreign for foreign in FOREIGN}


def body_of(api: str, chunks: int) -> bytes:
    response = response_of(b"".join(BY_API[api].writes(chunks)))
    assert isinstance(response, Response)
    return response.body


def events_of(body: bytes) -> Iterable[dict[str, Any]]:
    """The data of server-sent events; a name must be the type that the data says."""
    for event in body.decode().replace("\r\n", "\n").removesuffix("\n\n").split("\n\n"):
        name, _, data = event.rpartition("data: ")
        found = json.loads(data)
        assert name in ("", f"event: {found.get('type')}\n")
        yield found


@pytest.mark.parametrize("foreign", FOREIGN, ids=[foreign.api for foreign in FOREIGN])
def test_each_event_with_content_is_a_write_of_its_own(foreign: Foreign) -> None:
    writes = foreign.writes(5)
    assert [PIECE.findall(write) for write in writes] == [*([b"%05d" % place] for place in range(1, 6)), []]
    assert [may_be_complete(write[-8:]) for write in writes] == [False] * 5 + [True]
    assert [write.startswith(b"HTTP/1.1 200 OK\r\n") for write in writes] == [True] + [False] * 5


def test_a_message_of_anthropics() -> None:
    message = anthropic_assembled(body_of("anthropic", 5))
    assert message["content"][0]["text"] == TEXT
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("end_turn", 5)


def test_answers_of_geminis() -> None:
    answers = [GenerateContentResponse.model_validate(event) for event in events_of(body_of("gemini", 5))]
    assert "".join(answer.text or "" for answer in answers) == TEXT
    counts = [answer.usage_metadata and answer.usage_metadata.candidates_token_count for answer in answers]
    assert counts == [1, 2, 3, 4, 5, 5]
    assert [bool(answer.candidates and answer.candidates[0].finish_reason) for answer in answers] == [False] * 5 + [
        True
    ]


def test_frames_of_bedrocks() -> None:
    frames = read_by_botocore(body_of("bedrock", 5))
    kinds = [frame.headers[":event-type"] for frame in frames]
    closing = ["contentBlockStop", "messageStop", "metadata"]
    assert kinds == ["messageStart", *["contentBlockDelta"] * 5, *closing]
    assert {frame.headers[":message-type"] for frame in frames} == {"event"}
    payloads = [json.loads(frame.payload) for frame in frames]
    assert "".join(payload["delta"]["text"] for payload in payloads[1:6]) == TEXT
    assert payloads[-1]["usage"]["outputTokens"] == 5


def test_a_message_of_coheres() -> None:
    events = list(events_of(body_of("cohere", 5)))
    for event in events:
        Event.model_validate(event)
    opening, closing = ["message-start", "content-start"], ["content-end", "message-end"]
    assert [event["type"] for event in events] == [*opening, *["content-delta"] * 5, *closing]
    assert "".join(event["delta"]["message"]["content"]["text"] for event in events[2:7]) == TEXT
    assert events[-1]["delta"]["usage"]["billed_units"]["output_tokens"] == 5
