"""The sending half of a connection: frames are collected, and data waits for the peer's windows (RFC 9113, 5.2)."""

from collections.abc import Callable
from dataclasses import dataclass

from headgate.grpc_server import frames
from headgate.grpc_server.frames import Code
from headgate.grpc_server.stream import Stream

_pack_head = frames.HEAD.pack


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may use of us.

    Windows are at least HTTP/2's 65,535 bytes. `control_frames` is a burst, and what comes back of it per second.
    """

    message_bytes: int = 2**26
    streams: int = 1024
    stream_window: int = 2**24
    connection_window: int = 2**26
    control_frames: int = 10_000


class Outgoing:
    """What is to be sent, until `take`. `wake` is called when there is something outside of reading."""

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self.limits = limits
        self.streams: dict[int, Stream] = {}
        self.initial_window = frames.DEFAULT_WINDOW
        self.closed = False  # nothing follows what `take` returns next
        self._wake = wake
        self._out: list[bytes | memoryview] = []
        self._reading = False
        self._window = frames.DEFAULT_WINDOW
        self._frame_bytes = frames.DEFAULT_FRAME_BYTES
        self._paused = False
        self._blocked: dict[int, Stream] = {}
        self._ends_with_streams = False

    def take(self) -> bytes:
        """What is to be sent now."""
        out = self._out
        if not out:
            return b""
        self._out = []
        return b"".join(out)

    def pause(self) -> None:
        """The transport is full: no data until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """The transport has room again."""
        self._paused = False
        self._send_blocked()

    def send(self, stream: Stream, head: bytes, payload: bytes, tail: bytes) -> None:
        """Sends two header blocks and the data between them, each unless empty; `tail` ends the stream.

        Not while the stream has something `unsent`.
        """
        number, size, out = stream.number, len(payload), self._out
        if head:
            length = len(head)
            out.append(_pack_head(length >> 8, length & 0xFF, frames.HEADERS, frames.END_HEADERS, number))
            out.append(head)
        if size > stream.window or size > self._window or size > self._frame_bytes or self._paused:
            stream.unsent, stream.unsent_tail = memoryview(payload), tail
            self._send_more(stream)
        else:
            if size:
                self._window -= size
                stream.window -= size
                out.append(_pack_head(size >> 8, size & 0xFF, frames.DATA, 0, number))
                out.append(payload)
            if tail:
                self._finish(stream, tail)
        if not self._reading:
            self._wake()

    def reset(self, stream: Stream, code: Code) -> None:
        """Ends the stream without an answer."""
        self._out.append(frames.rst_stream(stream.number, code))
        self._forget(stream)
        if not self._reading:
            self._wake()

    def give_credit(self, stream: Stream) -> None:
        """Lets the peer send as much as the stream has used up, unless the stream holds back."""
        whole = self.limits.stream_window
        if stream.credit < whole >> 1 and not (stream.holds_back or stream.ended or stream.unsent):
            self._out.append(frames.window_update(stream.number, whole - stream.credit))
            stream.credit = whole
            if not self._reading:
                self._wake()

    def _finish(self, stream: Stream, tail: bytes) -> None:
        length, flags = len(tail), frames.END_HEADERS | frames.END_STREAM
        self._out.append(_pack_head(length >> 8, length & 0xFF, frames.HEADERS, flags, stream.number))
        self._out.append(tail)
        if not stream.ended:  # section 8.1: nothing more is needed of the request
            self._out.append(frames.rst_stream(stream.number, Code.NO_ERROR))
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if stream.unsent is not None:
            stream.unsent = None
            self._blocked.pop(stream.number, None)
        if self._ends_with_streams and not self.streams:
            self.closed = True

    def _send_more(self, stream: Stream) -> bool:
        """As much as the peer and the transport take; whether that was all and the stream goes on."""
        unsent = stream.unsent
        while unsent and not self._paused:
            size = min(len(unsent), stream.window, self._window, self._frame_bytes)
            if size <= 0:
                break
            self._window -= size
            stream.window -= size
            self._out.append(_pack_head(size >> 8, size & 0xFF, frames.DATA, 0, stream.number))
            self._out.append(unsent[:size])
            unsent = unsent[size:]
        if unsent:
            stream.unsent = unsent
            self._blocked[stream.number] = stream
            return False
        stream.unsent = None
        self._blocked.pop(stream.number, None)
        if stream.unsent_tail:
            self._finish(stream, stream.unsent_tail)
            return False
        return True

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            self._continue(stream)

    def _continue(self, stream: Stream) -> None:
        if stream.unsent is not None and self._send_more(stream):
            stream.sent()
