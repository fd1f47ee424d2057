"""Frames of Amazon's event streams, put together by hand, and what botocore makes of them."""

import json
import struct
import zlib
from typing import Any

from botocore.eventstream import EventStreamBuffer, EventStreamMessage


def frame(payload: bytes, **headers: str | bytes) -> bytes:
    """One frame; names of headers have _ for -, and a colon before them. Bytes are a header's type and value."""
    coded = b"".join(_header(":" + name.replace("_", "-"), value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(coded) + len(payload), len(coded))
    front = prelude + struct.pack(">I", zlib.crc32(prelude)) + coded + payload
    return front + struct.pack(">I", zlib.crc32(front))


def _header(name: str, value: str | bytes) -> bytes:
    coded = struct.pack(">BH", 7, len(value.encode())) + value.encode() if isinstance(value, str) else value
    return struct.pack(">B", len(name)) + name.encode() + coded


def event(name: str, /, **payload: Any) -> bytes:
    """An event as ConverseStream sends it."""
    text = json.dumps(payload).encode()
    return frame(text, event_type=name, content_type="application/json", message_type="event")


def exception(name: str, /, **payload: Any) -> bytes:
    """An exception in a stream."""
    text = json.dumps(payload).encode()
    return frame(text, exception_type=name, content_type="application/json", message_type="exception")


def error(code: str, message: str) -> bytes:
    """An error that is no exception of the API's."""
    return frame(b"", error_code=code, error_message=message, message_type="error")


def encoded(entries: list[dict[str, Any]]) -> bytes:
    """A stream as golden folders have it: each entry one name and its payload; exceptions are called so."""
    return b"".join(
        (exception if name.endswith("Exception") else event)(name, **payload)
        for entry in entries
        for name, payload in entry.items()
    )


def delta(index: int = 0, /, **delta: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def stop(index: int = 0) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


def tool(name: str, index: int = 0, **members: Any) -> bytes:
    used = {"toolUseId": f"tooluse_{name}", "name": name, **members}
    return event("contentBlockStart", contentBlockIndex=index, start={"toolUse": used})


USAGE = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
START = event("messageStart", role="assistant")
WORD = delta(text="Hi")
ENDED = event("messageStop", stopReason="end_turn")
METADATA = event("metadata", usage=USAGE, metrics={"latencyMs": 5})
PLAIN = START + WORD + stop() + ENDED + METADATA


def read_by_botocore(data: bytes) -> list[EventStreamMessage]:
    """The frames as Amazon's own client has them. Raises its errors."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)
