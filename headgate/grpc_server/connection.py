"""One HTTP/2 connection, the server's side (RFC 9113): bytes in, bytes out, streams in between.

No IO, no gRPC. `receive` takes whatever came and never raises. A stream that we have answered is forgotten, also when
its client has not ended it: what still comes for it counts against the connection's window and is dropped.
"""

from collections.abc import Callable
from time import monotonic

import structlog

from headgate.grpc_server import frames
from headgate.grpc_server.frames import Code, ConnectionFault, StreamFault
from headgate.grpc_server.headers import BLOCK_BYTES_LIMIT, HeaderReader, Headers
from headgate.grpc_server.outgoing import Limits, Outgoing
from headgate.grpc_server.stream import Stream

log = structlog.get_logger()

_unpack_head = frames.HEAD.unpack_from
_PROBE = b"draining"  # a PING: its answer says that the peer has seen our first GOAWAY
_COST_OF_RESET = 6  # in control frames: opening a stream only to leave it is work
_EARNED_BY_STREAM = 2  # a client may reset what we have answered already, and give us credit for it

Open = Callable[["Connection", int, Headers], Stream]


class Connection(Outgoing):
    """Reads frames. `open_stream` makes the streams of requests."""

    def __init__(self, limits: Limits, open_stream: Open, wake: Callable[[], None]) -> None:
        super().__init__(limits, wake)
        self._open = open_stream
        self._rest = b""
        self._greeted = self._settled = False
        self._headers = HeaderReader()
        self._block: tuple[int, int, bytearray] | None = None  # stream, flags, header block so far
        self._last = 0
        self._credit = limits.connection_window
        self._calm = limits.control_frames
        self._calm_at = monotonic()
        announced = {
            frames.HEADER_TABLE_SIZE: 0,
            frames.MAX_CONCURRENT_STREAMS: limits.streams,
            frames.INITIAL_WINDOW_SIZE: limits.stream_window,
            frames.MAX_HEADER_LIST_SIZE: BLOCK_BYTES_LIMIT,
        }
        self._out.append(frames.settings(announced))
        if limits.connection_window > frames.DEFAULT_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - frames.DEFAULT_WINDOW))

    @property
    def settled(self) -> bool:
        """Whether the peer has begun to speak HTTP/2."""
        return self._settled

    def receive(self, data: bytes) -> None:
        """Takes bytes from the peer."""
        if self.closed:
            return
        self._reading = True
        try:
            self._receive(self._rest + data if self._rest else data)
        except ConnectionFault as fault:
            log.warning("connection refused", code=fault.code.name, reason=str(fault))
            self._break(fault.code)
        except Exception:  # the connection's boundary: a bug costs this peer, not the worker
            log.exception("connection failed")
            self._break(Code.INTERNAL_ERROR)
        finally:
            self._reading = False

    def drain(self) -> None:
        """Asks for no more streams; those that are there, or on their way, go on."""
        if not self._settled:
            self.closed = True
        self._out.append(frames.goaway(frames.LARGEST_STREAM, Code.NO_ERROR))
        self._out.append(frames.frame(frames.PING, 0, 0, _PROBE))
        self._wake()

    def end_with_streams(self) -> None:
        """Takes no more streams, whatever the peer knows; the connection ends with those that there are."""
        if not self._ends_with_streams:
            self._ends_with_streams = True
            self._out.append(frames.goaway(self._last, Code.NO_ERROR))
            self.closed = self.closed or not self.streams
            self._wake()

    def lost(self) -> None:
        """The transport is gone, or must go."""
        self.closed = True
        streams = list(self.streams.values())
        self.streams.clear()
        self._blocked.clear()
        for stream in streams:
            stream.cancelled()

    def _receive(self, data: bytes) -> None:
        at, size = 0, len(data)
        if not self._greeted:
            if data[: len(frames.PREFACE)] != frames.PREFACE[:size]:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "no HTTP/2 preface")
            self._greeted = size >= len(frames.PREFACE)
            at = len(frames.PREFACE) if self._greeted else size
        while size - at >= frames.HEAD_BYTES and not self.closed:
            high, low, kind, flags, number = _unpack_head(data, at)
            start = at + frames.HEAD_BYTES
            end = start + (high << 8 | low)
            if end - start > frames.DEFAULT_FRAME_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a frame is larger than we take")
            if end > size:
                break
            at = end
            self._on_frame(kind, flags, number & frames.LARGEST_STREAM, data[start:end])
        self._rest = data[at:] if self._greeted else data

    def _on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a header block is interrupted")
        if not self._settled and kind != frames.SETTINGS:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            if kind == frames.DATA:
                self._on_data(flags, number, payload)
            elif kind == frames.HEADERS:
                self._on_headers(flags, number, payload)
            else:
                self._spend(1)
                handle = _HANDLERS.get(kind)
                if handle:
                    handle(self, flags, number, payload)
        except StreamFault as fault:
            self._on_stream_fault(number, fault)

    def _spend(self, cost: int) -> None:
        """Counts what costs us something and brings the peer nothing. Raises ConnectionFault when it is too much."""
        limit = self.limits.control_frames
        self._calm = min(self._calm, limit) - cost
        if self._calm < 0:
            now = monotonic()
            self._calm = min(limit, self._calm + int((now - self._calm_at) * limit))
            self._calm_at = now
            if self._calm < 0:
                raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many control frames")

    def _on_stream_fault(self, number: int, fault: StreamFault) -> None:
        self._spend(_COST_OF_RESET)
        stream = self.streams.get(number)
        if stream is None:
            self._out.append(frames.rst_stream(number, fault.code))
        else:
            self.reset(stream, fault.code)
            stream.cancelled()

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        length = len(payload)
        self._credit -= length
        if self._credit < self.limits.connection_window >> 1:
            self._give_connection_credit()
        stream = self.streams.get(number)
        if stream is None:
            self._check_not_idle(number)
            if not length:
                self._spend(1)
            return
        if stream.ended:
            raise StreamFault(Code.STREAM_CLOSED, "data after the end of the stream")
        stream.credit -= length
        if stream.credit < 0:
            raise StreamFault(Code.FLOW_CONTROL_ERROR, "more data than the stream's window")
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        if flags & frames.END_STREAM:
            stream.ended = True
        elif not payload:
            self._spend(1)
        stream.received(payload)
        if stream.credit < self.limits.stream_window >> 1 and number in self.streams:
            self.give_credit(stream)

    def _give_connection_credit(self) -> None:
        if self._credit < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more data than the connection's window")
        self._out.append(frames.window_update(0, self.limits.connection_window - self._credit))
        self._credit = self.limits.connection_window

    def _check_not_idle(self, number: int) -> None:
        if number > self._last or not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame for a stream that was not opened")

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.WITH_PRIORITY):
            if flags & frames.PADDED:
                payload = frames.unpadded(payload)
            if flags & frames.WITH_PRIORITY:
                if len(payload) < 5:
                    raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a priority is cut off")
                payload = payload[5:]
        if flags & frames.END_HEADERS:
            self._on_block(flags, number, payload)
        else:
            self._block = number, flags, bytearray(payload)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION where none belongs")
        _, first_flags, block = self._block
        block += payload
        if len(block) > BLOCK_BYTES_LIMIT:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "a header block is larger than we take")
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(first_flags, number, bytes(block))

    def _on_block(self, flags: int, number: int, block: bytes) -> None:
        headers = self._headers.read(block)
        if number <= self._last:
            self._on_trailers(flags, number)
            return
        if not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a client's streams have odd numbers")
        self._last = number
        if self._ends_with_streams:  # opened after our last GOAWAY: the peer has been told to try elsewhere
            self._spend(1)
            return
        if headers.malformed:
            raise StreamFault(Code.PROTOCOL_ERROR, headers.malformed)
        if len(self.streams) >= self.limits.streams:
            raise StreamFault(Code.REFUSED_STREAM, "too many streams at once")
        self._calm += _EARNED_BY_STREAM
        stream = self._open(self, number, headers)
        self.streams[number] = stream
        if flags & frames.END_STREAM:
            stream.ended = True
        stream.opened()

    def _on_trailers(self, flags: int, number: int) -> None:
        stream = self.streams.get(number)
        if stream is None:
            self._check_not_idle(number)
            self._spend(1)
        elif stream.ended:
            raise StreamFault(Code.STREAM_CLOSED, "headers after the end of the stream")
        elif not flags & frames.END_STREAM:
            raise StreamFault(Code.PROTOCOL_ERROR, "trailers that do not end the stream")
        else:
            stream.ended = True
            stream.received(b"")

    def _on_priority(self, _flags: int, number: int, payload: bytes) -> None:
        """Deprecated (RFC 9113, section 5.3): checked, not used."""
        if number == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PRIORITY has a wrong length")

    def _on_rst_stream(self, _flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "RST_STREAM has a wrong length")
        self._check_not_idle(number)
        stream = self.streams.get(number)
        if stream is not None:
            self._spend(_COST_OF_RESET)
            self._forget(stream)
            stream.cancelled()

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload or not self._settled:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "an odd acknowledgement of SETTINGS")
            self._headers.forget_table()
            return
        if len(payload) % frames.SETTING.size:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS has a wrong length")
        self._settled = True
        for name, value in frames.SETTING.iter_unpack(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                self._set_initial_window(value)
            elif name == frames.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME_BYTES <= value <= frames.LARGEST_FRAME_BYTES:
                    raise ConnectionFault(Code.PROTOCOL_ERROR, "an impossible MAX_FRAME_SIZE")
                self._frame_bytes = value
            elif name == frames.ENABLE_PUSH and value > 1:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "an impossible ENABLE_PUSH")
        self._out.append(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._send_blocked()

    def _set_initial_window(self, value: int) -> None:
        if value > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "an impossible INITIAL_WINDOW_SIZE")
        change = value - self.initial_window
        self.initial_window = value
        for stream in self.streams.values():
            stream.window += change  # below 0 is right: RFC 9113, section 6.9.2
            if stream.window > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a window is too large")

    def _on_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "PING has a wrong length")
        if not flags & frames.ACK:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == _PROBE:
            self.end_with_streams()  # everything that the peer sent before it knew has come

    def _on_goaway(self, _flags: int, number: int, payload: bytes) -> None:
        """Of a client: it opens no more streams. Those that there are go on."""
        if number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "GOAWAY is cut off")

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE has a wrong length")
        increment = frames.NUMBER.unpack(payload)[0] & frames.LARGEST_WINDOW
        if number == 0:
            self._window += increment
            if not increment or self._window > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "an impossible WINDOW_UPDATE")
            self._send_blocked()
            return
        self._check_not_idle(number)
        stream = self.streams.get(number)
        if stream is not None:
            stream.window += increment
            if not increment or stream.window > frames.LARGEST_WINDOW:
                raise StreamFault(Code.FLOW_CONTROL_ERROR, "an impossible WINDOW_UPDATE")
            self._continue(stream)

    def _break(self, code: Code) -> None:
        """Says why, and ends everything."""
        self._out.append(frames.goaway(self._last, code))
        self.lost()


_Handler = Callable[[Connection, int, int, bytes], None]
_HANDLERS: dict[int, _Handler] = {
    frames.PRIORITY: Connection._on_priority,
    frames.RST_STREAM: Connection._on_rst_stream,
    frames.SETTINGS: Connection._on_settings,
    frames.PUSH_PROMISE: Connection._on_push_promise,
    frames.PING: Connection._on_ping,
    frames.GOAWAY: Connection._on_goaway,
    frames.WINDOW_UPDATE: Connection._on_window_update,
    frames.CONTINUATION: Connection._on_continuation,
}
