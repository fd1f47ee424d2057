"""Send an answer at its pace, or fail on the way as `simulate` wishes. IO; it decides no content."""

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aiohttp import web

from engines.simulator.batch import Place
from engines.simulator.faults import Simulate, html_page, is_html_page
from engines.simulator.frames import Framer, is_shaped
from engines.simulator.record import Exchange
from engines.simulator.stream import Event

_FRAME_GAP_S: Final = 0.001  # long enough that the loop flushes one frame to the socket before the next
_FLUSH_S: Final = 0.01
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST
_NEVER: Final = 1 << 62

Headers = dict[str, str]


class Pace(NamedTuple):
    """When tokens come: seconds to the first and for each further one, once the place in the batch is had."""

    ttft_s: float
    token_s: float
    place: Place | None = None


async def send_json(
    request: web.Request,
    exchange: Exchange,
    body: bytes,
    simulate: Simulate,
    *,
    status: int = 200,
    work_s: float = 0.0,
) -> web.StreamResponse:
    """Send a JSON answer, or the page that stands in for it, after the `work_s` seconds it takes to make."""
    headers = {"content-type": simulate.content_type or "application/json", **simulate.headers}
    if is_html_page(simulate):
        body = html_page(status)
    if simulate.content_encoding == "gzip":
        body = gzip.compress(body, mtime=0)
        headers["content-encoding"] = "gzip"
    await _before_headers(request, exchange, simulate)
    if work_s:
        await asyncio.sleep(work_s)
    if simulate.silence is None and simulate.cut_after is None and not is_shaped(simulate):
        return web.Response(body=body, status=status, headers=headers)
    return await _send_body(request, exchange, body, simulate, status, headers)


async def send_stream(
    request: web.Request,
    exchange: Exchange,
    events: Iterator[Event],
    simulate: Simulate,
    pace: Pace,
    *,
    broken: bytes,
) -> web.StreamResponse:
    """Send a stream of events, each when it is due. `broken` is the event for `malformed_after`.

    As from vLLM, the headers come at once, also while the request waits for its place.
    """
    headers = {
        "content-type": simulate.content_type or "text/event-stream; charset=utf-8",
        **simulate.headers,
    }
    if simulate.content_encoding == "gzip":
        headers["content-encoding"] = "gzip"
    await _before_headers(request, exchange, simulate)
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await _after_headers(request, exchange, simulate)
    async with pace.place or contextlib.nullcontext():
        await _send_events(request, exchange, events, simulate, response, pace, broken)
    return response


async def _send_events(
    request: web.Request,
    exchange: Exchange,
    events: Iterator[Event],
    simulate: Simulate,
    response: web.StreamResponse,
    pace: Pace,
    broken: bytes,
) -> None:
    framer = Framer(simulate) if is_shaped(simulate) else None
    silent_at, cut_at = _limit(simulate.silence), _limit(simulate.cut_after)
    stop_at, broken_at = min(silent_at, cut_at), _limit(simulate.malformed_after)
    loop = asyncio.get_running_loop()
    start, due = loop.time() + pace.ttft_s, -1
    for event in events:
        if event.step != due:
            due = event.step
            await asyncio.sleep(max(0.0, start + due * pace.token_s - loop.time()))
        if exchange.chunks_sent >= broken_at and (event.token or exchange.chunks_sent):
            await _write(response, framer, broken)
            broken_at = _NEVER
        if exchange.chunks_sent >= stop_at and (event.token or exchange.chunks_sent):
            await _flush(response, framer, end=False)
            await _fail(request, exchange, cut=cut_at <= silent_at)
        if event.token and not exchange.chunks_sent and pace.place is not None:
            pace.place.first_token()
        exchange.chunks_sent += event.token  # first: a client that leaves meanwhile may have it
        await _write(response, framer, event.data)
    await _flush(response, framer, end=True)


def _limit(point: str | int | None) -> int:
    return point if isinstance(point, int) else _NEVER


async def _before_headers(request: web.Request, exchange: Exchange, simulate: Simulate) -> None:
    if simulate.delay_s:
        await asyncio.sleep(simulate.delay_s)
    for point, cut in ((simulate.cut_after, True), (simulate.silence, False)):
        if point == "before_headers":
            await _fail(request, exchange, cut=cut)


async def _after_headers(request: web.Request, exchange: Exchange, simulate: Simulate) -> None:
    for point, cut in ((simulate.cut_after, True), (simulate.silence, False)):
        if point == "after_headers":
            await _fail(request, exchange, cut=cut)


async def _fail(request: web.Request, exchange: Exchange, *, cut: bool) -> None:
    """Reset the connection, or say nothing more. Ends when the loss of the connection cancels the handler."""
    if cut and request.transport is not None:
        await asyncio.sleep(_FLUSH_S)  # what was written before goes out first
        exchange.cut = True
        peer: socket.socket | None = request.transport.get_extra_info("socket")
        if peer is not None:
            with contextlib.suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    await asyncio.Event().wait()


async def _send_body(
    request: web.Request, exchange: Exchange, body: bytes, simulate: Simulate, status: int, headers: Headers
) -> web.StreamResponse:
    """Send a body with its length in frames; the limits of `silence` and `cut_after` count its bytes."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await _after_headers(request, exchange, simulate)
    silent_at, cut_at = _limit(simulate.silence), _limit(simulate.cut_after)
    stop_at = min(silent_at, cut_at)
    plain = Simulate(frame_bytes=simulate.frame_bytes, frames_per_event=simulate.frames_per_event)
    framer = Framer(plain) if is_shaped(plain) else None
    await _write(response, framer, body[:stop_at])
    if stop_at != _NEVER:
        await _flush(response, framer, end=False)
        await _fail(request, exchange, cut=cut_at <= silent_at)
    await _flush(response, framer, end=True)
    return response


async def _write(response: web.StreamResponse, framer: Framer | None, data: bytes) -> None:
    if framer is None:
        await response.write(data)
    else:
        await _send_frames(response, framer.feed(data))


async def _flush(response: web.StreamResponse, framer: Framer | None, *, end: bool) -> None:
    if framer is not None:
        await _send_frames(response, framer.rest(end=end))


async def _send_frames(response: web.StreamResponse, frames: Iterable[bytes]) -> None:
    for frame in frames:
        await response.write(frame)
        await asyncio.sleep(_FRAME_GAP_S)
