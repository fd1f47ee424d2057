"""The supervisor's control socket, `run/supervisor.sock`: what only the gateway's own user may ask of it.

A Unix socket that only this user can open, unlike `listen.admin`, which any local program can reach.
`POST /restart?drain_s=S` and `/engines/NAME/restart` answer with one JSON object per line, the last one with `done`;
`GET /engines` with a list.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import msgspec
import structlog
from aiohttp import web

from headgate import contract
from headgate.supervise.engines_shown import EngineShown
from headgate.supervise.leaving import PATIENCE_S
from headgate.supervise.rolling import RestartError, Step

log = structlog.get_logger()


class BusyError(Exception):
    """A restart can't begin now; the text says why."""


T = TypeVar("T")


class Restarter(Generic[T]):
    """One restart at a time; it goes on when whoever asked for it is gone. `begin` is told what was asked for."""

    def __init__(self, begin: Callable[[T], AsyncIterator[Step]], lock: asyncio.Lock) -> None:
        self._begin = begin
        self._lock = lock
        self._running: asyncio.Task[None] | None = None

    def start(self, asked: T, obstacle: str | None) -> "asyncio.Queue[bytes | None]":
        """Lines of progress until None. Raises BusyError."""
        if self._running and not self._running.done():
            obstacle = "a restart is under way"
        if obstacle:
            raise BusyError(obstacle)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._running = asyncio.create_task(self._run(asked, lines))
        return lines

    async def _run(self, asked: T, lines: "asyncio.Queue[bytes | None]") -> None:
        log.info("restart begins", of=asked)
        try:
            async with self._lock:
                async for step in self._begin(asked):
                    lines.put_nowait(msgspec.json.encode(step))
            lines.put_nowait(msgspec.json.encode({"done": True}))
            log.info("restart done")
        except RestartError as error:
            log.warning("restart failed", reason=str(error))
            lines.put_nowait(msgspec.json.encode({"done": False, "reason": str(error)}))
        except asyncio.CancelledError:
            lines.put_nowait(msgspec.json.encode({"done": False, "reason": "the gateway is being stopped"}))
            raise
        finally:
            lines.put_nowait(None)

    async def cancel(self) -> None:
        """Break off what runs; a successor that has not taken over has ended when this returns."""
        if self._running:
            self._running.cancel()
            await asyncio.wait({self._running})


async def serve(
    restarter: Restarter[float],
    renewer: Restarter[str],
    engines: Callable[[], Awaitable[list[EngineShown]]],
    why_not: Callable[[], str | None],
) -> web.AppRunner:
    """Listen; `why_not` says what speaks against a restart now, `renewer` restarts an engine by its name."""

    async def restart(request: web.Request) -> web.StreamResponse:
        try:
            drain_s = float(request.query.get("drain_s", PATIENCE_S))
        except ValueError:
            return web.json_response({"done": False, "reason": "drain_s: must be seconds"}, status=400)
        return await _progress(request, lambda: restarter.start(drain_s, why_not()))

    async def renew(request: web.Request) -> web.StreamResponse:
        return await _progress(request, lambda: renewer.start(request.match_info["engine"], why_not()))

    async def list_engines(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(await engines()), content_type="application/json")

    app = web.Application()
    app.router.add_post("/restart", restart)
    app.router.add_get("/engines", list_engines)
    app.router.add_post("/engines/{engine}/restart", renew)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    contract.CONTROL_SOCKET.unlink(missing_ok=True)
    await web.UnixSite(runner, str(contract.CONTROL_SOCKET)).start()  # the umask leaves it to this user alone
    contract.CONTROL_SOCKET.chmod(0o600)
    return runner


async def _progress(request: web.Request, start: "Callable[[], asyncio.Queue[bytes | None]]") -> web.StreamResponse:
    try:
        lines = start()
    except BusyError as busy:
        return web.json_response({"done": False, "reason": str(busy)}, status=409)
    response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
    await response.prepare(request)
    while (line := await lines.get()) is not None:
        await response.write(line + b"\n")
    return response
