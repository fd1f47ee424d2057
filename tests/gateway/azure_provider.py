"""A scripted provider with OpenAI's bodies, as Azure sends them: filter results in whole answers and in streams.

What the prompt says decides: `NAME:503` makes the provider of that name answer so, all others answer well.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
from recorder import Received, Recorder, recorder

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
OWN_HEADERS = [("apim-request-id", "1"), ("x-ms-region", "Sweden Central"), ("azureml-model-session", "d-1")]
ERRORS: dict[int, dict[str, Any]] = {
    400: {
        "code": "content_filter",
        "message": "The response was filtered.",
        "param": "prompt",
        "type": None,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE},
    },
    401: {"code": "401", "message": "Access denied due to invalid subscription key sk-some-of-it."},
    413: {
        "code": "context_length_exceeded",
        "message": "This model's maximum context length is 8192 tokens.",
        "param": "messages",
        "type": "invalid_request_error",
    },
    429: {"code": "429", "message": "Requests have exceeded the token rate limit. Please retry after 1 second."},
    503: {"code": "ServiceUnavailable", "message": "System is experiencing high demand."},
}


def stream_of(name: str) -> bytes:
    """What a good stream looks like; usage was asked for."""
    named = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    unnamed = {"id": "", "object": "", "created": 0, "model": ""}
    filtered = {"content_filter_results": SAFE, "finish_reason": None, "index": 0}
    events = [
        {"choices": [], **unnamed, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]},
        *(
            {"choices": [{**filtered, "delta": delta}], **named, "usage": None}
            for delta in ({"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": f" from {name}."})
        ),
        {"choices": [{**filtered, "content_filter_offsets": {"start_offset": 0}}], **unnamed},
        {"choices": [{**filtered, "finish_reason": "stop", "delta": {}}], **named, "usage": None},
        {"choices": [], **named, "usage": USAGE},
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"


def whole_of(name: str, target: str) -> dict[str, Any]:
    """What a good answer looks like."""
    if "/embeddings" in target:
        return {"object": "list", "data": [], "model": "e", "usage": {"prompt_tokens": 12, "total_tokens": 12}}
    message = {"role": "assistant", "content": f"Hello from {name}."}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "content_filter_results": SAFE}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [choice],
        "usage": USAGE,
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
    }


@contextmanager
def azure_provider(name: str) -> Iterator[Recorder]:
    """Run one on loopback."""

    def answer(
        peer: socket.socket, connection: h11.Connection, request: Received, _: Recorder, __: threading.Event
    ) -> None:
        status, kind, body = _answer_of(name, request)
        more = [("retry-after", "7"), ("retry-after-ms", "50")] if status == 429 else []
        length = [] if kind == "text/event-stream" else [("content-length", str(len(body)))]
        head = h11.Response(status_code=status, headers=[("content-type", kind), *length, *OWN_HEADERS, *more])
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            peer.sendall(connection.send(event) or b"")

    with recorder(answer) as found:
        yield found


def _answer_of(name: str, request: Received) -> tuple[int, str, bytes]:
    asked = json.loads(request.body)
    said = json.dumps([asked.get(member) for member in ("messages", "prompt", "input")])
    with contextlib.suppress(IndexError):
        status = int(said.split(f"{name}:")[1][:3])
        return status, "application/json", json.dumps({"error": ERRORS[status]}).encode()
    if asked.get("stream"):
        return 200, "text/event-stream", stream_of(name)
    return 200, "application/json", json.dumps(whole_of(name, request.target)).encode()
