"""The admin listener (`listen.admin`): /healthz while the supervisor runs, /readyz when every part can work.

Nothing here may show a secret: details come from probes, which give no addresses and no texts of other
programs.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from headgate.supervise import ports
from headgate.supervise.part import Part, Probe
from headgate.supervise.ports import Listen


@dataclass(frozen=True, slots=True)
class Outside:
    """A service that we use but do not run."""

    name: str
    probe: Probe


@dataclass(frozen=True, slots=True)
class View:
    """What /readyz looks at. `stage` says why nothing is ready yet, or any more; None while serving."""

    generation: int
    parts: Sequence[Part]
    outside: Sequence[Outside]
    stage: str | None


async def report(view: View) -> dict[str, object]:
    """The body of /readyz: asks every part at once."""
    probes = [part.spec.probe for part in view.parts] + [service.probe for service in view.outside]
    details = await asyncio.gather(*(probe() for probe in probes))
    parts: dict[str, object] = {}
    for part, detail in zip(view.parts, details, strict=False):
        parts[part.name] = _part_entry(part, detail)
    for service, detail in zip(view.outside, details[len(view.parts) :], strict=True):
        parts[service.name] = {"ready": detail is None, "detail": detail or "ready"}
    ready = view.stage is None and not any(details)
    body: dict[str, object] = {"ready": ready, "generation": view.generation, "parts": parts}
    if view.stage:
        body["detail"] = view.stage
    return body


def _part_entry(part: Part, detail: str | None) -> dict[str, object]:
    uptime_s = part.uptime_s
    return {
        "ready": detail is None,
        "detail": detail or "ready",
        "pid": part.process.pid if part.process else None,
        "restarts": part.restarts,
        "uptime_s": None if uptime_s is None else round(uptime_s, 1),
    }


async def serve(listen: Listen, view: Callable[[], View]) -> web.AppRunner:
    """Start the listener; `view` is asked on every request. Raises Refusal when the address is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        body = await report(view())
        return web.json_response(body, status=200 if body["ready"] else 503)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.address.host, listen.address.port).start()
    except OSError as error:
        await runner.cleanup()
        raise ports.refusal_of(listen, error) from error
    return runner
