"""The supervisor's control socket, `run/supervisor.sock`: what only the gateway's own user may ask of it.

A Unix socket that only this user can open, unlike `listen.admin`, which any local program can reach.
`POST /restart?drain_s=S` answers with one JSON object per line, the last one with `done`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import structlog
from aiohttp import web

from headgate import contract
from headgate.supervise.leaving import PATIENCE_S
from headgate.supervise.rolling import RestartError, Step

log = structlog.get_logger()


class BusyError(Exception):
    """A restart can't begin now; the text says why."""


class Restarter:
    """One restart at a time; it goes on when whoever asked for it is gone."""

    def __init__(self, begin: Callable[[float], AsyncIterator[Step]], lock: asyncio.Lock) -> None:
        self._begin = begin
        self._lock = lock
        self._running: asyncio.Task[None] | None = None

    def start(self, drain_s: float, obstacle: str | None) -> "asyncio.Queue[bytes | None]":
        """Lines of progress until None. Raises BusyError."""
        if self._running and not self._running.done():
            obstacle = "a restart is under way"
        if obstacle:
            raise BusyError(obstacle)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._running = asyncio.create_task(self._run(drain_s, lines))
        return lines

    async def _run(self, drain_s: float, lines: "asyncio.Queue[bytes | None]") -> None:
        log.info("restart begins", drain_s=drain_s)
        try:
            async with self._lock:
                async for step in self._begin(drain_s):
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


async def serve(restarter: Restarter, why_not: Callable[[], str | None]) -> web.AppRunner:
    """Listen; `why_not` says what speaks against a restart now."""

    async def restart(request: web.Request) -> web.StreamResponse:
        try:
            drain_s = float(request.query.get("drain_s", PATIENCE_S))
            lines = restarter.start(drain_s, why_not())
        except ValueError:
            return web.json_response({"done": False, "reason": "drain_s: must be seconds"}, status=400)
        except BusyError as busy:
            return web.json_response({"done": False, "reason": str(busy)}, status=409)
        response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
        await response.prepare(request)
        while (line := await lines.get()) is not None:
            await response.write(line + b"\n")
        return response

    app = web.Application()
    app.router.add_post("/restart", restart)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    contract.CONTROL_SOCKET.unlink(missing_ok=True)
    await web.UnixSite(runner, str(contract.CONTROL_SOCKET)).start()  # the umask leaves it to this user alone
    contract.CONTROL_SOCKET.chmod(0o600)
    return runner
