"""HTTP/1.1 as the bench's client needs it: one complete response out of the bytes received. Pure."""

import re
from dataclasses import dataclass

NUMBER = "@number@"  # in a body: where each request has a number of its own, as long as this

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """Status and body, chunked framing taken off."""

    status: int
    body: bytes
    closes: bool = False  # the server takes no further request on this connection


def request_bytes(port: int, headers: dict[str, str], body: bytes, path: str = "/v1/chat/completions") -> bytes:
    """A POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def numbered(request: bytes, number: int) -> bytes:
    """The request with that number in it, which has up to eight digits."""
    return request.replace(NUMBER.encode(), b"%08d" % number)


def response_of(received: bytes) -> Response | None:
    """The response when `received` holds all of it, None before. Raises ValueError for anything else."""
    end = received.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    length = _LENGTH.search(received, 0, end)
    if length:
        if len(received) < end + int(length[1]):
            return None
        return Response(_status(received), received[end : end + int(length[1])], _closes(received, end))
    if not _CHUNKED.search(received, 0, end):
        raise ValueError("a response without a length")
    if not may_be_complete(received):
        return None
    return Response(_status(received), _dechunked(received, end), _closes(received, end))


def may_be_complete(received: bytes) -> bool:
    """Whether a chunked response may end here; cheap, and enough to be asked of a few last bytes."""
    return received.endswith(_LAST_CHUNK)


def _closes(received: bytes, end: int) -> bool:
    return bool(_CLOSE.search(received, 0, end))


def _status(received: bytes) -> int:
    return int(received[9:12])  # HTTP/1.1 200


def _dechunked(received: bytes, at: int) -> bytes:
    parts: list[bytes] = []
    while True:
        line = received.index(b"\r\n", at)
        size = int(received[at:line], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(received[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
