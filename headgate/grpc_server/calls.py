"""gRPC calls on streams: requests in, replies out, and what a handler is.

A handler of a unary method is `handler(request, call)` and returns the reply's bytes. A handler of a streaming method
is `handler(call)` and returns a `Conversation`, which answers one message after the other. Both are called in line,
and may return an awaitable of their reply instead: then a task awaits it, which ends when the call does.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from headgate.grpc_server.connection import Connection
from headgate.grpc_server.headers import Headers, literal
from headgate.grpc_server.messages import (
    OK_TRAILERS,
    PREFIX,
    PREFIX_BYTES,
    RESPONSE_HEAD,
    CallFailed,
    MessageReader,
    Status,
    error_trailers,
)
from headgate.grpc_server.stream import Stream

log = structlog.get_logger()

Reply = tuple[bytes | list[bytes] | None, bool]  # a message, several or none, and whether they end the call


@dataclass(frozen=True, slots=True)
class Method:
    """One gRPC method: its full name, whether it streams, how to decode requests; replies are bytes."""

    service: str
    name: str
    handler: Callable[..., Any]
    decode: Callable[[bytes], Any]
    streams: bool

    @property
    def path(self) -> str:
        """What stands in `:path`."""
        return f"/{self.service}/{self.name}"


class Metadata(Protocol):
    """What a handler may know of its call."""

    def header(self, name: str) -> str | None:
        """The value of a request header, by its name in lower case."""


class Conversation(Protocol):
    """One call of a streaming method."""

    def on_message(self, message: Any) -> Reply | Awaitable[Reply]:
        """Answers the next message. Not called again before the answer is there and sent."""


class Call(Stream):
    """One call. It is over when its trailers have been handed to the connection, or when it was cancelled."""

    __slots__ = ("_method", "_over", "_reader", "_replied", "_task", "headers")

    def __init__(self, connection: Connection, number: int, headers: Headers, method: Method) -> None:
        super().__init__(connection, number)
        self.headers = headers
        self._method = method
        self._reader: MessageReader | None = None  # only when messages and frames do not coincide
        self._task: asyncio.Task[None] | None = None
        self._replied = self._over = False

    def header(self, name: str) -> str | None:
        """See Metadata."""
        return self.headers.get(name)

    def opened(self) -> None:
        """A request without a message is none that we know; the call's kind says so."""
        if self.ended:
            self.received(b"")

    def received(self, payload: bytes) -> None:
        """Takes a message if the payload is one; otherwise what there is of one."""
        if self._over:
            return
        try:
            if self._reader is None:
                if len(payload) >= PREFIX_BYTES and self._took(payload):
                    return
                self._reader = MessageReader(self.connection.limits.message_bytes)
            self._reader.feed(payload)
            self._go_on()
        except CallFailed as failure:
            self.fail(failure)

    def _took(self, payload: bytes) -> bool:
        """Whether the payload was one whole message, and its turn: by far the most are."""
        compressed, size = PREFIX.unpack_from(payload)
        return (
            size == len(payload) - PREFIX_BYTES
            and not compressed
            and size <= self.connection.limits.message_bytes
            and self._take(payload[PREFIX_BYTES:])
        )

    def sent(self) -> None:
        """The peer has taken the last reply: on to the next message."""
        self.connection.give_credit(self)
        self._guarded_go_on()

    def cancelled(self) -> None:
        """Nobody waits for an answer."""
        self._over = True
        if self._task:
            self._task.cancel()

    def fail(self, failure: CallFailed) -> None:
        """Ends the call with an error."""
        if self._over:
            return
        self.cancelled()
        tail = error_trailers(failure)
        if self.unsent is not None:
            self.unsent_tail = tail
        else:
            self.connection.send(self, b"", b"", tail if self._replied else RESPONSE_HEAD + tail)

    def _take(self, message: bytes) -> bool:
        """Handles a message that is a frame of its own; False when it is not this one's turn."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Handles what the reader has, and the request's end. Raises CallFailed."""
        raise NotImplementedError

    def _run(self, message: bytes) -> Any:
        """Calls the handler."""
        raise NotImplementedError

    def _answer(self, outcome: Any) -> None:
        """Sends what a handler has returned."""
        raise NotImplementedError

    def _handle(self, message: bytes) -> None:
        try:
            outcome = self._run(message)
            if isinstance(outcome, bytes | tuple):
                self._answer(outcome)
            else:
                self.holds_back = True
                self._task = asyncio.get_running_loop().create_task(self._awaited(outcome))
        except CallFailed as failure:
            self.fail(failure)
        except Exception as error:  # noqa: BLE001 - the call's boundary
            self._failed(error)

    async def _awaited(self, outcome: Awaitable[Any]) -> None:
        try:
            try:
                answer = await outcome
            finally:
                self._task, self.holds_back = None, False
            if not self._over:
                self._answer(answer)
                self.connection.give_credit(self)
                self._guarded_go_on()
        except CallFailed as failure:
            self.fail(failure)
        except asyncio.CancelledError:
            self.fail(CallFailed(Status.CANCELLED, "cancelled"))  # unless it is over: that is why, then
            raise
        except Exception as error:  # noqa: BLE001 - the call's boundary
            self._failed(error)

    def _guarded_go_on(self) -> None:
        try:
            self._go_on()
        except CallFailed as failure:
            self.fail(failure)

    def _failed(self, error: Exception) -> None:
        """Our bug. What an exception says may quote the request: its place has to do."""
        log.error("call failed", method=self._method.path, error=type(error).__name__, at=_places(error))
        self.fail(CallFailed(Status.INTERNAL, "the handler failed"))


class UnaryCall(Call):
    """One message, one reply."""

    __slots__ = ()

    def _take(self, message: bytes) -> bool:
        if not self.ended:
            return False
        self._handle(message)
        return True

    def _go_on(self) -> None:
        if self._over or self._task or not self.ended or self._reader is None:
            return
        message = self._reader.next()
        if message is None or len(self._reader):
            raise CallFailed(Status.INTERNAL, "a unary call takes exactly one message")
        self._handle(message)

    def _run(self, message: bytes) -> Any:
        return self._method.handler(self._method.decode(message), self)

    def _answer(self, outcome: bytes) -> None:
        payload = PREFIX.pack(0, len(outcome)) + outcome
        self._over = True
        self.connection.send(self, RESPONSE_HEAD, payload, OK_TRAILERS)


class StreamingCall(Call):
    """Messages in turn, each with its reply, until a reply is the last one or the client ends."""

    __slots__ = ("_conversation",)

    def __init__(self, connection: Connection, number: int, headers: Headers, method: Method) -> None:
        super().__init__(connection, number, headers, method)
        self._conversation: Conversation | None = None

    def cancelled(self) -> None:
        """Nobody waits for an answer."""
        super().cancelled()
        self._conversation = None

    def _take(self, message: bytes) -> bool:
        if self._task or self.unsent is not None:
            return False
        self._handle(message)
        if self.ended and not self._over:
            self._guarded_go_on()
        return True

    def _go_on(self) -> None:
        while not (self._over or self._task or self.unsent is not None):
            message = self._reader.next() if self._reader else None
            if message is None:
                break
            self._handle(message)
        else:
            return
        if self.ended:
            if self._reader:
                raise CallFailed(Status.INTERNAL, "the last message is cut off")
            self._answer((None, True))

    def _run(self, message: bytes) -> Any:
        if self._conversation is None:
            self._conversation = self._method.handler(self)
        return self._conversation.on_message(self._method.decode(message))

    def _answer(self, outcome: Reply) -> None:
        messages, last = outcome
        if isinstance(messages, bytes):
            payload = PREFIX.pack(0, len(messages)) + messages
        else:
            payload = b"".join(PREFIX.pack(0, len(message)) + message for message in messages or ())
        self._over = last
        if last:
            self._conversation = None  # which may hold this call: no cycle for the collector
        head = b"" if self._replied else RESPONSE_HEAD
        self._replied = True
        self.connection.send(self, head, payload, OK_TRAILERS if last else b"")


class RefusedCall(Stream):
    """A call that is answered before it is read."""

    __slots__ = ("_tail",)

    def __init__(self, connection: Connection, number: int, tail: bytes) -> None:
        super().__init__(connection, number)
        self._tail = tail

    def opened(self) -> None:
        """Answers."""
        self.connection.send(self, b"", b"", self._tail)


_UNKNOWN_METHOD = RESPONSE_HEAD + error_trailers(CallFailed(Status.UNIMPLEMENTED, "unknown method"))
# 0x08: a literal whose name, `:status`, is the static table's.
_NOT_POST = b"\x08\x03405" + literal(b"allow", b"POST")
_NOT_GRPC = b"\x08\x03415"


def open_call(methods: dict[bytes, Method], connection: Connection, number: int, headers: Headers) -> Stream:
    """The call that a request's headers ask for."""
    method = methods.get(headers.path or b"")
    if headers.method != b"POST":
        return RefusedCall(connection, number, _NOT_POST)
    if not (headers.content_type or b"").startswith(b"application/grpc"):
        return RefusedCall(connection, number, _NOT_GRPC)
    if method is None:
        return RefusedCall(connection, number, _UNKNOWN_METHOD)
    kind = StreamingCall if method.streams else UnaryCall
    return kind(connection, number, headers, method)


def _places(error: Exception) -> list[str]:
    """Where it was raised, innermost last: file, line and function, without the source."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
