"""One stream of a connection, as far as HTTP/2 goes; `headgate.grpc_server.calls` says what is done with it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.grpc_server.connection import Connection


class Stream:
    """One request and its answer. The connection calls the methods, and owns the attributes but `holds_back`."""

    __slots__ = ("connection", "credit", "ended", "holds_back", "number", "unsent", "unsent_tail", "window")

    def __init__(self, connection: "Connection", number: int) -> None:
        self.connection = connection
        self.number = number
        self.window = connection.initial_window  # what the peer still takes
        self.credit = connection.limits.stream_window  # what we still take
        self.ended = False  # the peer has sent its last frame
        self.holds_back = False  # no more credit for now
        self.unsent: memoryview | None = None  # what the peer or the transport does not take yet
        self.unsent_tail = b""

    def opened(self) -> None:
        """The request's headers are there; `ended` when they are all there is."""

    def received(self, payload: bytes) -> None:
        """More of the request's bytes, or its end, or both."""

    def sent(self) -> None:
        """What was `unsent` has been sent, and the stream goes on."""

    def cancelled(self) -> None:
        """The stream is over before its answer was."""
