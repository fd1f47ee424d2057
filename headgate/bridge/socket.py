"""A WebSocket whose bytes count from their arrival: one that fills the memory is let go."""

from websockets.asyncio.server import ServerConnection

from headgate.bridge.asking import Asking
from headgate.bridge.bounds import Bounds

TRY_AGAIN = 1013


class Socket(ServerConnection):
    """Counts what has arrived and is no message yet, and lets go of a connection that fills the memory."""

    asking: Asking | None = None
    _bounds: Bounds | None = None
    _unread_bytes = 0

    def admitted(self, bounds: Bounds, asking: Asking) -> None:
        """It belongs to this caller, and counts."""
        self.asking, self._bounds = asking, bounds
        self.protocol.max_message_size = asking.most_bytes

    async def next_message(self) -> str | bytes:
        """The next one. Raises ConnectionClosed."""
        message: str | bytes = await self.recv()
        self._count(-self._unread_bytes)
        return message

    def data_received(self, data: bytes) -> None:
        """What Envoy brings."""
        self._count(len(data))
        if self._bounds and self.asking and not self._bounds.has_room(self.asking.most_bytes):
            self.protocol.fail(TRY_AGAIN, "the gateway is short of memory")
            self.send_data()
            return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it is left."""
        self._count(-self._unread_bytes)
        super().connection_lost(exc)

    def _count(self, more: int) -> None:
        if self._bounds:
            self._unread_bytes += more
            self._bounds.message_bytes += more
