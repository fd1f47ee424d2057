"""What a scripted provider says, in the words of either API: good answers, their events, errors. Pure."""

import json
from dataclasses import dataclass
from typing import Any

USAGE = (11, 3)  # prompt and completion


@dataclass(frozen=True)
class Asked:
    """What a way may depend on: the provider's API and name, and the request."""

    api: str
    name: str
    model: str
    stream: bool
    usage: bool  # a usage chunk was asked for

    @property
    def words(self) -> tuple[str, ...]:
        """The good answer, token by token."""
        return ("Hello", " from", f" {self.name}.")


def encoded(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def error_body(
    asked: Asked, status: int, message: str, kind: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    if asked.api == "openai":
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES[status], "message": message}, "request_id": "req_1"}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}


def error_event(asked: Asked, body: dict[str, Any]) -> bytes:
    return (b"event: error\n" if asked.api == "anthropic" else b"") + b"data: " + encoded(body) + b"\n\n"


def whole(asked: Asked) -> dict[str, Any]:
    prompt, completion = USAGE
    text = "".join(asked.words)
    if asked.api == "openai":
        message = {"role": "assistant", "content": text}
        return {
            **_chunk(asked, "chat.completion"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"input_tokens": prompt, "output_tokens": completion}
    return {**_message(asked), "content": [{"type": "text", "text": text}], **ended, "usage": usage}


def events(asked: Asked) -> list[bytes]:
    return _openai_events(asked) if asked.api == "openai" else _anthropic_events(asked)


def up_to_a_token(asked: Asked) -> list[bytes]:
    return events(asked)[: 2 if asked.api == "openai" else 3]


def _chunk(asked: Asked, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": asked.model}


def _openai_events(asked: Asked) -> list[bytes]:
    start = _chunk(asked, "chat.completion.chunk")
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in asked.words), {}]
    chunks = [
        {**start, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    if asked.usage:
        chunks.append({**start, "choices": [], "usage": whole(asked)["usage"]})
    return [*(b"data: " + encoded(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def _message(asked: Asked) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": asked.model}


def _anthropic_events(asked: Asked) -> list[bytes]:
    prompt, completion = USAGE
    opened = {"content": [], "stop_reason": None, "stop_sequence": None}
    usage = {"input_tokens": prompt, "output_tokens": 1}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    made = [
        {"type": "message_start", "message": {**_message(asked), **opened, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in asked.words
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": completion}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: ".encode() + encoded(event) + b"\n\n" for event in made]
