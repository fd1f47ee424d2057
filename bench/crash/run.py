"""A whole run: lessons, the load with the kills in it, and the look at what is left."""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from bench.crash.asks import UNLIMITED, Kill, Options, asks, kills, lessons
from bench.crash.clients import Answer, Clients
from bench.crash.engine import engine, made_by
from bench.crash.gateway import Victim, victim
from bench.crash.kept import kept_in
from bench.crash.verdict import Verdict, verdict_of


def run(options: Options, folder: Path | None = None) -> Verdict:
    """Run it; what is written stays where `folder` is given. Raises Failure when it can't be brought to its end."""
    place = folder or Path(tempfile.mkdtemp(prefix="headgate-crash-"))
    try:
        with engine(place) as (port, record), victim(place / "gateway", port) as gateway:
            gateway.wait_until_ready()
            answers = asyncio.run(_learn(gateway))
            gateway.wait_until_settled()  # and learned: what a ledger has learned is on the disk a second later
            began = time.monotonic()
            more, killed = asyncio.run(_load(gateway, options))
            loaded = time.monotonic()
            gateway.wait_until_settled()
            settled = time.monotonic()
            limits = {tenant: gateway.limits(tenant) for tenant in gateway.keys if tenant != UNLIMITED}
            gateway.end()
        verdict = verdict_of([*answers, *more], killed, made_by(record), kept_in(gateway.state), limits)
        verdict.figures |= {"load, s": round(loaded - began, 1), "until settled, s": round(settled - loaded, 1)}
        return verdict
    finally:
        if folder is None:
            shutil.rmtree(place)


async def _learn(gateway: Victim) -> list[Answer]:
    clients = Clients(gateway.port, gateway.keys, lambda _: None)
    await clients.run(iter(lessons()), at_once=8)
    return clients.answers


async def _load(gateway: Victim, options: Options) -> tuple[list[Answer], list[Kill]]:
    """Kills come after so many requests, however fast these are."""
    planned, killed = kills(options), []
    sent, grew = 0, asyncio.Event()

    def on_begin(number: int) -> None:
        nonlocal sent
        sent = number
        grew.set()

    async def kill() -> None:
        for turn, (after, part) in enumerate(planned):
            while sent < after:
                grew.clear()
                await grew.wait()
            killed.append(await gateway.kill(part, turn))

    clients = Clients(gateway.port, gateway.keys, on_begin)
    await asyncio.gather(clients.run(asks(options), options.clients), kill())
    return clients.answers, killed
