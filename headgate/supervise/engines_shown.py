"""How engines are, for `headgate engines`: what the supervisor knows of its processes, and the part `engines` of all.

The last lines of a replica's log are in it, so it is for who may read that log: the gateway's own user.
"""

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from headgate.config.engine_providers import HOST
from headgate.config.engines import Engine, served_name
from headgate.contract import ENGINES_KEY
from headgate.engine_standing import ReplicaStanding
from headgate.supervise import files
from headgate.supervise.part import End, Part

LINES = 3
_MOST_CHARACTERS = 500  # of a line
_SECRET_FROM = 6  # characters: a shorter value of a variable is a number or a word


class ReplicaShown(msgspec.Struct, frozen=True):
    """A replica. `state`: as the part `engines` says it, or what the supervisor knows: `down`, `starting`,
    `draining`, `ready`, of those that this gateway runs; else `unknown`.

    `running` and `waiting` are requests; what follows `part` is of those that this gateway runs alone. `last_end` is
    of the process before, or of this one while it is down. `said` are the last lines of `log` while it is not ready.
    """

    address: str
    state: str
    detail: str | None = None
    running: int | None = None
    waiting: int | None = None
    part: str | None = None
    gpus: tuple[int, ...] = ()
    pid: int | None = None
    restarts: int | None = None
    uptime_s: float | None = None
    last_end: End | None = None
    again_in_s: float | None = None
    log: str | None = None
    said: list[str] = []


class EngineShown(msgspec.Struct, frozen=True):
    """An engine with its replicas."""

    name: str
    kind: str
    serves: str
    managed: bool
    replicas: list[ReplicaShown]


async def engine_shown(
    name: str, engine: Engine, parts: Sequence[tuple[Part, bool]], said: Sequence[ReplicaStanding]
) -> EngineShown:
    """`parts` are a managed one's, and whether each drains; `said` is what the part `engines` knows of it."""
    known = {one.address: one for one in said}
    if not engine.managed:  # behind a name there may be several
        replicas = [_as_said(ReplicaShown(address, "unknown"), one) for address, one in known.items()]
        replicas = replicas or [ReplicaShown(url.authority, "unknown") for url in engine.endpoints]
    else:
        secrets = _secrets(engine)
        shown = await asyncio.gather(*(_shown(part, drains, secrets) for part, drains in parts))
        replicas = [_as_said(one, known.get(one.address)) for one in shown]
    return EngineShown(name, engine.kind, served_name(name, engine), engine.managed, replicas)


def _as_said(shown: ReplicaShown, said: ReplicaStanding | None) -> ReplicaShown:
    if said is None or shown.state == "down":
        return shown
    by_us, by_them = shown.detail, said.detail
    return msgspec.structs.replace(
        shown,
        state=shown.state if shown.state == "draining" else said.state,
        detail=by_us or by_them if shown.last_end else by_them or by_us,
        running=said.running,
        waiting=said.waiting,
    )


async def _shown(part: Part, draining: bool, secrets: Collection[str]) -> ReplicaShown:
    detail = await part.spec.probe()
    state = "down" if part.process is None else "starting" if detail else "draining" if draining else "ready"
    again_in_s = part.again_in_s
    return ReplicaShown(
        address=f"{HOST}:{part.spec.port}",
        state=state,
        detail=part.trouble(detail),
        part=part.name,
        gpus=part.spec.gpus,
        pid=part.process.pid if part.process else None,
        restarts=part.restarts,
        uptime_s=None if part.uptime_s is None else round(part.uptime_s, 1),
        last_end=part.last_end,
        again_in_s=None if again_in_s is None else round(again_in_s, 1),
        log=str(part.spec.log_path.absolute()),
        said=[_hidden(line, secrets) for line in files.last_lines(part.spec.log_path, LINES)] if detail else [],
    )


def _secrets(engine: Engine) -> set[str]:
    """What an engine is told and may not say again."""
    key = ENGINES_KEY.read_text().strip() if ENGINES_KEY.exists() else ""
    return {value for value in (*engine.env.values(), key) if len(value) >= _SECRET_FROM}


def _hidden(line: str, secrets: Collection[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, "***")
    return line[:_MOST_CHARACTERS]
