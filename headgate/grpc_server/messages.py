"""gRPC over HTTP/2 (its protocol document, PROTOCOL-HTTP2): messages in DATA frames, status in trailers. Pure."""

from enum import IntEnum
from struct import Struct
from urllib.parse import quote

from headgate.grpc_server.headers import literal

PREFIX = Struct(">BL")  # the compressed flag, the message's length
PREFIX_BYTES = 5


class Status(IntEnum):
    """The codes that we send."""

    OK = 0
    CANCELLED = 1
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class CallFailed(Exception):  # noqa: N818 - an answer, which handlers raise too
    """Ends a call with a status. The message goes to the peer."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


RESPONSE_HEAD = b"\x88" + literal(b"content-type", b"application/grpc")  # 0x88: the static table's `:status: 200`
OK_TRAILERS = literal(b"grpc-status", b"0")

_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def error_trailers(failure: CallFailed) -> bytes:
    """The header block that says so; what is not plain ASCII is percent-encoded."""
    message = quote(failure.message, safe=_PLAIN, errors="replace").encode()
    return literal(b"grpc-status", b"%d" % failure.status) + literal(b"grpc-message", message)


class MessageReader:
    """Cuts the bytes of one stream into messages."""

    __slots__ = ("_held", "_limit")

    def __init__(self, limit_bytes: int) -> None:
        self._held = bytearray()
        self._limit = limit_bytes

    def __len__(self) -> int:
        return len(self._held)

    def feed(self, payload: bytes) -> None:
        """Takes what came next. Raises CallFailed for a message that cannot be taken."""
        self._held += payload
        self._checked_size()

    def next(self) -> bytes | None:
        """The next message if all of it is there. Raises CallFailed like `feed`."""
        size = self._checked_size()
        if size is None or len(self._held) < PREFIX_BYTES + size:
            return None
        with memoryview(self._held) as held:
            message = bytes(held[PREFIX_BYTES : PREFIX_BYTES + size])
        del self._held[: PREFIX_BYTES + size]
        return message

    def _checked_size(self) -> int | None:
        if len(self._held) < PREFIX_BYTES:
            return None
        compressed, size = PREFIX.unpack_from(self._held)
        if compressed:
            raise CallFailed(Status.UNIMPLEMENTED, "compressed messages are not taken")
        if size > self._limit:
            raise CallFailed(
                Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes, where {self._limit} are taken at most"
            )
        return int(size)
