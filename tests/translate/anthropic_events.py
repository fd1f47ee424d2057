"""Events of Anthropic's streams, put together by hand."""

import json
from typing import Any

TEXT = {"type": "text", "text": ""}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}


def event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def start(**usage: int) -> bytes:
    return event(
        "message_start", message={"type": "message", "model": "claude", "content": [], "usage": usage or None}
    )


def opened(block: dict[str, Any], index: int = 0) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(kind: str, index: int = 0, **members: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **members})


def closed(index: int = 0) -> bytes:
    return event("content_block_stop", index=index)


WORD = delta("text_delta", text="Hi")
STOPPED = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
END = event("message_stop")
PLAIN = start(input_tokens=3, output_tokens=1) + opened(TEXT) + WORD + closed() + STOPPED + END
