"""One client's connection: its lanes, each of which makes one response after the other, and how it ends.

Nothing here is without a bound: what waits, what runs, and how long a client may leave its events unread. When the
client goes, all that runs for it is cancelled.
"""

import asyncio
import time
from collections import deque
from typing import Any

import structlog
from websockets.exceptions import ConnectionClosed

from headgate.bridge.asking import Asking
from headgate.bridge.bounds import Bounds, Share
from headgate.bridge.conversation import Memory
from headgate.bridge.events import error_event, on_lane, problem
from headgate.bridge.message import Create, MessageError, read_message
from headgate.bridge.request import Request
from headgate.bridge.socket import Socket

log = structlog.get_logger()

# OpenAI's.
RUNNING = 16
NAMED_LANES = 32
LONGEST_S = 3600.0

WAITING = 64  # messages; and all of them together as large as one may be
UNREAD_S = 60.0  # how long an event may wait for its client
GOING_AWAY = 1001

_TOO_OLD = error_event(
    400,
    problem(
        "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.",
        "websocket_connection_limit_reached",
    ),
)
_ENDING = error_event(
    503,
    problem(
        "The gateway is closing this connection. Open a new one to continue.",
        "gateway_unavailable",
        kind="server_error",
    ),
)


class Client:
    """`run` returns when the connection has ended."""

    def __init__(self, socket: Socket, asking: Asking, bounds: Bounds, share: Share, memory: Memory) -> None:
        self._socket, self._asking, self._bounds, self._share, self._memory = socket, asking, bounds, share, memory
        self._lanes: dict[str | None, deque[Create]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._running = asyncio.Semaphore(RUNNING)
        self._waiting = self._waiting_bytes = self._answered = 0
        self._ending: bytes | None = None  # what is said to messages from here on

    async def run(self) -> None:
        """Answer until the client goes, or the connection is to end."""
        began = time.monotonic()
        old = asyncio.get_running_loop().call_later(LONGEST_S, self.end, _TOO_OLD)
        try:
            while True:
                await self._take(await self._socket.next_message())
        except ConnectionClosed:
            pass
        finally:
            old.cancel()
            await self._leave()
            log.info(
                "connection ended",
                request_id=self._asking.request_id,
                tenant=self._asking.tenant,
                responses=self._answered,
                code=self._socket.close_code,
                lasted_s=round(time.monotonic() - began, 3),
            )

    def end(self, why: bytes = _ENDING) -> None:
        """Take no further message, and close when what runs has ended. What waits is told why."""
        if self._ending is None:
            self._ending = why
            self._work(self._close(why))

    async def _close(self, why: bytes) -> None:
        for lane in self._let_go():
            await self._tell(on_lane(why, lane))
        if why is _TOO_OLD:
            await self._tell(why)
        others = self._working - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        await self._socket.close(GOING_AWAY, "the connection ends: open a new one")

    def _let_go(self) -> list[str | None]:
        """Forget what waits; the lanes that it was for."""
        lanes = []
        for lane, waiting in self._lanes.items():
            while len(waiting) > 1:  # the first one runs
                self._done(waiting.pop())
                lanes.append(lane)
        return lanes

    async def _leave(self) -> None:
        for task in self._working:
            task.cancel()
        if self._working:
            await asyncio.wait(self._working)
        for waiting in self._lanes.values():
            while waiting:
                self._done(waiting.pop())
        for lane in self._lanes:
            self._memory.forget(self, lane)

    async def _take(self, data: str | bytes) -> None:
        try:
            create = read_message(data)
            if self._ending is not None:
                await self._tell(on_lane(self._ending, create.lane))
                return
            self._check(create)
        except MessageError as error:
            said = problem(error.message, error.code, error.param)
            await self._tell(on_lane(error_event(error.status, said), error.lane))
            return
        waiting = self._lanes.setdefault(create.lane, deque())
        waiting.append(create)
        self._waiting += 1
        self._waiting_bytes += create.size_bytes
        self._bounds.message_bytes += create.size_bytes
        if len(waiting) == 1:
            self._work(self._answer(waiting))

    def _check(self, create: Create) -> None:
        """Raises MessageError for more than may wait, and for a lane too many."""
        lane = create.lane
        if lane is not None and lane not in self._lanes and len(self._lanes.keys() - {None}) >= NAMED_LANES:
            raise MessageError(
                f"This WebSocket connection has reached its maximum number of distinct stream IDs ({NAMED_LANES}). "
                "Reuse an existing stream_id or open a new WebSocket connection.",
                "websocket_stream_limit_reached",
                "stream_id",
                lane,
            )
        too_large = self._waiting and self._waiting_bytes + create.size_bytes > 2 * self._asking.most_bytes
        if self._waiting >= WAITING + RUNNING or too_large:
            raise MessageError(
                "Too much waits on this connection. Send the next event when a response has ended.",
                "websocket_queue_full",
                lane=lane,
                status=429,
            )

    async def _answer(self, waiting: deque[Create]) -> None:
        """One response after the other, until none waits on the lane."""
        while waiting:
            create = waiting[0]
            async with self._running, self._share.running:
                await Request(self._asking, self._memory, self, list(self._lanes)).answer(create, self._tell)
            self._answered += 1
            self._done(waiting.popleft())

    def _done(self, create: Create) -> None:
        self._waiting -= 1
        self._waiting_bytes -= create.size_bytes
        self._bounds.message_bytes -= create.size_bytes

    async def _tell(self, event: bytes) -> None:
        """Send an event, and wait until the client has room for the next. Raises ConnectionClosed."""
        try:
            async with asyncio.timeout(UNREAD_S):
                await self._socket.send(event, text=True)
        except TimeoutError:
            log.info("client does not read", request_id=self._asking.request_id, tenant=self._asking.tenant)
            self._socket.transport.abort()
            await self._socket.wait_closed()

    def _work(self, work: Any) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except ConnectionClosed:
            return
        except Exception:  # a bug: it costs this connection
            log.exception("connection fails", request_id=self._asking.request_id, tenant=self._asking.tenant)
            self._socket.transport.abort()
