"""The admin listener (`listen.admin`): /metrics, /healthz while we run, /readyz when every part can work.

Nothing here may show a secret: details come from probes, which give no addresses and no texts of other
programs.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from headgate.issuers import IssuerRow
from headgate.supervise import engine_samples, families, ports
from headgate.supervise import scrape as exposition
from headgate.supervise.envoy_stats import Samples
from headgate.supervise.issuers import fetched_at
from headgate.supervise.part import Part, Probe
from headgate.supervise.ports import Listen
from headgate.supervise.scrape import Exposition


@dataclass(frozen=True, slots=True)
class Outside:
    """A service that we use but do not run. Without one that is not `essential`, requests for models are answered."""

    name: str
    probe: Probe
    essential: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """What /readyz looks at. `stage` says why nothing is ready yet, or any more; None while serving.

    `config` is the configuration's part of the answer (`Reloader.report`).
    """

    config: Mapping[str, Any]
    parts: Sequence[Part]
    outside: Sequence[Outside]
    stage: str | None
    reloads: Mapping[str, int] = field(default_factory=dict)  # by outcome
    certificates: Mapping[str, Path] = field(default_factory=dict)  # by key of gateway.yaml
    issuers: Sequence[IssuerRow] = ()


async def report(view: View) -> dict[str, object]:
    """The body of /readyz: asks every part at once."""
    probes = [part.spec.probe for part in view.parts] + [service.probe for service in view.outside]
    details = await asyncio.gather(*(probe() for probe in probes))
    parts: dict[str, dict[str, object]] = {}
    for part, detail in zip(view.parts, details, strict=False):
        parts[part.name] = _part_entry(part, detail)
    for service, detail in zip(view.outside, details[len(view.parts) :], strict=True):
        parts[service.name] = {"ready": detail is None, "detail": detail or "ready"}
    # Requests for models are answered without these.
    spared = {part.name for part in view.parts if part.renewing or not part.spec.essential}
    spared |= {service.name for service in view.outside if not service.essential}
    missing = [name for name, entry in parts.items() if not entry["ready"]]
    ready = view.stage is None and spared.issuperset(missing)
    body: dict[str, object] = {"ready": ready, "generation": view.config["generation"], "parts": parts}
    body["degraded"] = [name for name in missing if name in spared]
    body["config"] = dict(view.config)
    if view.stage:
        body["detail"] = view.stage
    return body


def _part_entry(part: Part, detail: str | None) -> dict[str, object]:
    return {
        "ready": detail is None,
        "detail": part.trouble(detail) or "ready",
        "pid": part.process.pid if part.process else None,
        "restarts": part.restarts,
        "uptime_s": _tenths(part.uptime_s),
        "last_end": asdict(part.last_end) if part.last_end else None,
        "again_in_s": _tenths(part.again_in_s),
    }


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


async def scrape(view: View) -> bytes:
    """The body of /metrics."""
    readiness, counted, envoy, engines = await asyncio.gather(
        report(view), exposition.parts_metrics(), exposition.envoy_metrics(), engine_samples.metrics()
    )
    shown = Exposition()
    shown.add(counted)
    shown.add_samples(envoy)
    shown.add(engines)
    shown.add_samples(_seen(view, readiness))
    return await asyncio.to_thread(shown.text)  # with many tenants it takes a while


def _seen(view: View, readiness: dict[str, Any]) -> Samples:
    """What the supervisor knows by itself."""
    parts = readiness["parts"]
    return {
        **exposition.static_samples(),
        **exposition.process_samples({part.name: part.process.pid for part in view.parts if part.process}),
        **exposition.spool_samples(),
        **exposition.counters_samples(),
        families.READY: {(): readiness["ready"]},
        families.PART_READY: {(name,): entry["ready"] for name, entry in parts.items()},
        families.PART_RESTARTS: {(part.name,): part.restarts for part in view.parts},
        families.PART_ENDS: {(part.name, how): count for part in view.parts for how, count in part.ends.items()},
        families.PART_NEXT_START: {
            (part.name,): time.time() + part.again_in_s for part in view.parts if part.again_in_s is not None
        },
        **exposition.certificate_samples(view.certificates),
        families.ISSUER_KEYS_FETCHED: fetched_at(view.issuers),
        families.CONFIG_GENERATION: {(): view.config["generation"]},
        families.CONFIG_TIMESTAMP: {(): dt.datetime.fromisoformat(view.config["loaded"]).timestamp()},
        families.RELOAD_OK: {(): view.config["error"] is None},
        families.RELOADS: {(outcome,): count for outcome, count in view.reloads.items()},
    }


async def serve(listen: Listen, view: Callable[[], View]) -> web.AppRunner:
    """Start the listener; `view` is asked on every request. Raises Refusal when the address is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        body = await report(view())
        return web.json_response(body, status=200 if body["ready"] else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await scrape(view()), headers={"content-type": exposition.CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.address.host, listen.address.port).start()
    except OSError as error:
        await runner.cleanup()
        raise ports.refusal_of(listen, error) from error
    return runner
