"""A stream's events as messages, and errors as OpenAI's WebSocket mode has them. Pure."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

# No event of a response is larger but for pictures and files in it; Envoy holds no more of one either.
MOST_BYTES = 64 * 2**20

_END = re.compile(rb"\r?\n\r?\n")
_END_BYTES = 4
_LINE = re.compile(rb"\r?\n")

FINAL = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})
# Of an answer's headers, what its error event says.
_SHOWN = re.compile(r"retry-after.*|x-request-id|x-should-retry|x-ratelimit-.*|x-headgate-.*")


class EventTooLargeError(Exception):
    """The provider's event is larger than `MOST_BYTES`."""


class Events:
    """The data of a stream's events. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The events that end in these bytes; those that are no JSON object are none. Raises EventTooLargeError."""
        searched = max(len(self._buffer) - _END_BYTES + 1, 0)
        self._buffer += data
        found, begin = [], 0
        while end := _END.search(self._buffer, max(searched, begin)):
            event = _data_of(bytes(self._buffer[begin : end.start()]))
            if event.startswith(b"{"):
                found.append(event)
            begin = end.end()
        if begin:
            del self._buffer[:begin]
        if len(self._buffer) > MOST_BYTES:
            raise EventTooLargeError
        return found


def _data_of(block: bytes) -> bytes:
    lines = (line for line in _LINE.split(block) if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)


class _Event(msgspec.Struct):
    type: str = ""


def kind_of(event: bytes) -> str:
    """An event's type; "" for what has none."""
    try:
        return msgspec.json.decode(event, type=_Event).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def is_object(body: bytes) -> bool:
    """Whether it is one JSON object."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class _Response(msgspec.Struct):
    response: dict[str, msgspec.Raw] = {}


def response_of(event: bytes) -> dict[str, Any] | None:
    """The response in a final event: its `id` and `store`, and its `output` undecoded."""
    try:
        found = msgspec.json.decode(event, type=_Response).response
        known: dict[str, Any] = {name: msgspec.json.decode(found[name]) for name in ["id", "store"] if name in found}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    output = found.get("output")
    return {**known, "output": bytes(output) if output is not None else None}


def on_lane(event: bytes, lane: str | None) -> bytes:
    """The event with the lane's name, where it has one."""
    return event if lane is None else b'{"stream_id":"%s",%s' % (lane.encode(), event[1:].lstrip())


def made_event(kind: str, number: int, response: Any) -> bytes:
    """An event of our own."""
    return msgspec.json.encode({"type": kind, "sequence_number": number, "response": response})


def error_event(status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """What a request that was refused is in a WebSocket: the error of its answer, its status, and some headers."""
    shown = {name: value for name, value in (headers or {}).items() if _SHOWN.fullmatch(name)}
    body = {**error, **({"headers": shown} if shown else {})}
    return msgspec.json.encode({"type": "error", "status": status, "error": body})


def problem(message: str, code: str, param: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error's words."""
    return {"type": kind, "code": code, "message": message, "param": param}


def error_of(body: bytes, status: int) -> dict[str, Any]:
    """The error in an answer's body, or one in its place where the body is no error that is known."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return {"type": "invalid_request_error" if status < 500 else "server_error", **error}
    kind = "invalid_request_error" if status < 500 else "server_error"
    return problem(f"The request was refused with status {status}.", "request_refused", kind=kind)


def nested(event: bytes) -> bytes:
    """A stream's `error` event, whose words stand beside its type, as it is in a WebSocket."""
    said: dict[str, Any] = msgspec.json.decode(event)
    if isinstance(said.get("error"), dict):
        return event
    words = {name: said.get(name) for name in ("code", "message", "param")}
    rest = {name: value for name, value in said.items() if name not in words}
    message = words["message"] if isinstance(words["message"], str) else "The provider reported an error."
    return msgspec.json.encode({**rest, "error": {"type": "server_error", **words, "message": message}})
