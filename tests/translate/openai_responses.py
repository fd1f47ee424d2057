"""What OpenAI's own types and SDK make of requests, responses and events of the Responses API."""

import json
from typing import Any

import openai
from openai.lib.streaming.responses import ResponseStreamManager
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from tests.translate.openai_requests import read
from tests.translate.sdk_clients import transport

_REQUEST: TypeAdapter[Any] = TypeAdapter(ResponseCreateParams)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

ENDS = ("response.completed", "response.incomplete", "response.failed")


def checked_request(body: dict[str, Any]) -> Any:
    """The request, if its API allows it. Raises pydantic.ValidationError."""
    return read(_REQUEST.validate_python(body))


def checked_response(body: bytes) -> dict[str, Any]:
    """A whole response. Raises pydantic.ValidationError."""
    Response.model_validate_json(body, strict=False)
    found: dict[str, Any] = json.loads(body)
    return found


def checked_events(stream: bytes) -> list[dict[str, Any]]:
    """All events of a stream, each with its name and its number. Raises pydantic.ValidationError."""
    *blocks, rest = stream.split(b"\n\n")
    assert rest == b""
    events = list[dict[str, Any]]()
    for number, block in enumerate(blocks):
        name, data = block.split(b"\n")
        event = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        assert event["sequence_number"] == number
        _EVENT.validate_python(event)
        events.append(event)
    return events


def response_in(stream: bytes) -> dict[str, Any]:
    """The response that a stream ends with."""
    found: dict[str, Any] = checked_events(stream)[-1]["response"]
    return found


def sdk_response(stream: bytes) -> Response:
    """The response that OpenAI's SDK puts together. Raises openai.APIError, RuntimeError for one not completed."""
    with openai.OpenAI(api_key="none", http_client=transport(stream, "text/event-stream")) as client:
        manager: ResponseStreamManager[Any] = client.responses.stream(model="m", input="x")
        with manager as events:
            return events.get_final_response()


def deltas_in(events: list[dict[str, Any]]) -> dict[tuple[int, int, str], str]:
    """The pieces of each text, put together: by the item's index, the part's, and the kind of its events."""
    found: dict[tuple[int, int, str], str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            key = event["output_index"], event.get("content_index", 0), event["type"].removesuffix(".delta")
            found[key] = found.get(key, "") + event["delta"]
    return found
