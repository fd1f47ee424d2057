"""Events of Cohere's streams, put together by hand."""

import json
from typing import Any

USAGE = {
    "billed_units": {"input_tokens": 3.0, "output_tokens": 1.0},
    "tokens": {"input_tokens": 70, "output_tokens": 3},
}


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **members})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def added(kind: str, index: int | None = None, /, **message: Any) -> bytes:
    """An event that adds to the message."""
    members: dict[str, Any] = {} if index is None else {"index": index}
    return event(kind, **members, delta={"message": message})


def opened(index: int = 0, kind: str = "text") -> bytes:
    return added("content-start", index, content={"type": kind, kind: ""})


def said(text: Any, index: int = 0, kind: str = "text") -> bytes:
    return added("content-delta", index, content={kind: text})


def called(index: int = 0, call_id: Any = "c", name: Any = "f", arguments: str = "") -> bytes:
    function = {"name": name, "arguments": arguments}
    return added("tool-call-start", index, tool_calls={"id": call_id, "type": "function", "function": function})


def arguments(text: str, index: int = 0) -> bytes:
    return added("tool-call-delta", index, tool_calls={"function": {"arguments": text}})


def ended(reason: Any = "COMPLETE", **members: Any) -> bytes:
    return event("message-end", delta={"finish_reason": reason, "usage": USAGE, **members})


START = added("message-start", role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])
WORD = START + opened() + said("Hi")
END = event("content-end", index=0) + ended()
PLAIN = WORD + END
