"""Answers of providers that speak another API than the client, piece by piece, and what the client has to see."""

import json
from typing import Any

from attempt_client import Answered, Attempt, planned
from ext_proc_client import JSON, chat, snapshot_of

OPENAI, ANTHROPIC = "openai", "anthropic"  # whose client; the provider is of the other API
SNAPSHOT = snapshot_of("""\
providers:
  for-anthropic: {api: openai, base_url: "http://a.test"}
  for-openai: {api: anthropic, base_url: "http://b.test"}
models:
  for-anthropic: {targets: [{provider: for-anthropic, model: up}]}
  for-openai: {targets: [{provider: for-openai, model: up}]}
tenants: {acme: {models: [for-anthropic, for-openai]}}
""")


def attempt(client: str, *, stream: bool) -> Attempt:
    """An attempt whose request has been sent."""
    body = json.loads(chat(model=f"for-{client}", stream=stream)) | {"max_tokens": 50}
    url = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}[client]
    made, kept = planned(url, json.dumps(body).encode(), SNAPSHOT)
    made.request(kept)
    return made


def events(*found: dict[str, Any]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in found]


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": choices, **more}
    return b"data: " + json.dumps(made).encode() + b"\n\n"


def delta(reason: str | None = None, **members: Any) -> dict[str, Any]:
    return {"index": 0, "delta": members, "finish_reason": reason}


TEXT = "Grüße, 世界"
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "up", "content": [], "stop_reason": None,
           "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
WHOLE = {
    OPENAI: {**MESSAGE, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"},
    ANTHROPIC: {
        "id": "c", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    },
}  # fmt: skip
BEFORE = {  # what says nothing of the answer yet
    OPENAI: events(
        {"type": "message_start", "message": MESSAGE},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ),
    ANTHROPIC: [b": waiting\n\n", chunk(delta(role="assistant", content=""))],
}
BEGUN = {
    OPENAI: events({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}),
    ANTHROPIC: [chunk(delta(content=TEXT))],
}
REST = {
    OPENAI: events(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ),
    ANTHROPIC: [
        chunk(delta("stop")),
        chunk(usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}),
        b"data: [DONE]\n\n",
    ],
}
ERROR = {
    OPENAI: events({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ANTHROPIC: [b'data: {"error":{"message":"Overloaded","type":"overloaded_error","code":503}}\n\n'],
}
LAST = {OPENAI: b"data: [DONE]\n\n", ANTHROPIC: b'event: message_stop\ndata: {"type":"message_stop"}\n\n'}


def error_of(client: str, found: Answered) -> dict[str, Any]:
    """The error's object, from a whole body in the client's shape."""
    assert found.headers["content-type"] == JSON
    assert found.ended
    answer = json.loads(found.body)
    assert ("request_id" in answer) == (client == ANTHROPIC)
    error: dict[str, Any] = answer["error"]
    assert error["message"]
    return error


def text_of(client: str, body: bytes) -> str:
    """The answer's text in a stream of the client's API."""
    lines = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: {")]
    found = [json.loads(line) for line in lines]
    if client == ANTHROPIC:
        return "".join(event["delta"].get("text", "") for event in found if event["type"] == "content_block_delta")
    return "".join(choice["delta"].get("content") or "" for event in found for choice in event.get("choices", ()))
