"""What a request costs as things grow: `python -m bench.growth`. No part of `headgate bench`.

A gateway is started for each size, warmed, and asked small questions (for prompts: questions of that size) in a
closed loop. `--only` names what grows. Prints a table, and with `--save FOLDER` keeps it as JSON. It ends with an
error where anything was answered wrongly.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from bench import meter
from bench.child import Child, running
from bench.compare import measured, warmed
from bench.failure import Failure
from bench.figures import Figures
from bench.gateway import MODEL, Gateway, gateway, new_key
from bench.ready import until_answered
from bench.saved import keep
from bench.scenarios import Scenario, prompts, short
from bench.subject import Subject, gateway_subject

CONNECTIONS = 16
SECONDS, WARM_S = 4.0, 1.0


class Grow(Protocol):
    """Adds so many of them to a configuration."""

    def __call__(self, config: dict[str, Any], count: int) -> None:
        """In place."""


def _keys(config: dict[str, Any], count: int) -> None:
    config["tenants"]["bench"]["keys"] += [_key(number) for number in range(count)]


def _models(config: dict[str, Any], count: int) -> None:
    chain = config["models"][MODEL]
    config["models"] |= {f"model-{number}": chain for number in range(count)}
    config["tenants"]["bench"]["models"] += [f"model-{number}" for number in range(count)]


def _tenants(config: dict[str, Any], count: int) -> None:
    config["tenants"] |= {
        f"tenant-{number}": {"plan": "counted", "models": [MODEL], "keys": [_key(number)]} for number in range(count)
    }


def _nothing(config: dict[str, Any], count: int) -> None:
    """What grows is the prompt, or how many workers there are."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows, and to which sizes."""

    sizes: tuple[int, ...]
    grow: Grow = _nothing
    unit: str = ""


GROWTHS: Mapping[str, Growth] = {
    "prompts": Growth((1_000, 10_000, 100_000, 1_000_000), unit="bytes"),
    "keys": Growth((10, 1_000, 10_000, 100_000), _keys),
    "models": Growth((1, 10, 100, 1_000), _models),
    "tenants": Growth((1, 100, 1_000, 10_000), _tenants),
    "workers": Growth((1, 2, 4)),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One size. Seconds until its first answer, memory (PSS, MiB) before it was asked anything, and what it cost."""

    what: str
    size: int
    up_s: float
    idle_mib: float
    figures: Figures


def main() -> None:
    """Start, ask, print; size by size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[*GROWTHS], help="may be repeated")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    points: list[Point] = []
    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        for point in _points(given.only or [*GROWTHS]):
            points.append(point)
            console.print(f"{point.what} {point.size:,}: {point.figures.cpu:.3f} ms", style="dim")
    except Failure as failure:
        sys.exit(str(failure))
    console.print(_table(points))
    if given.save:
        found = {"points": [asdict(point) for point in points]}
        keep(given.save, "growth", found, ["python", "-m", "bench.growth", *sys.argv[1:]])
    if errors := [f"{point.what} {point.size}: {point.figures.errors}" for point in points if point.figures.errors]:
        sys.exit("\n".join(errors))


def _points(names: list[str]) -> Iterator[Point]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        upstream = int(stack.enter_context(running("bench.upstream", "10")).line())
        client = stack.enter_context(running("bench.client"))
        for name in names:
            for size in GROWTHS[name].sizes:
                options = ("--workers", str(size)) if name == "workers" else ()
                with gateway(
                    folder / f"{name}-{size}",
                    upstream,
                    *options,
                    grow=partial(GROWTHS[name].grow, count=size),
                ) as started:
                    yield _point(client, started, name, size)


def _point(client: Child, started: Gateway, name: str, size: int) -> Point:
    up_s = until_answered(client, gateway_subject(started.port, started.keys, {}), started.check) - started.began
    started.wait_for_the_rest()
    subject = gateway_subject(started.port, started.keys, started.parts())
    asks = prompts(size) if name == "prompts" else short
    scenario = Scenario(name, name, asks, CONNECTIONS)
    idle = _memory(subject)
    warmed(client, subject, scenario, WARM_S)
    return Point(name, size, up_s, idle, measured(client, subject, scenario, SECONDS))


def _memory(subject: Subject) -> float:
    return sum(meter.pss_bytes(pid) for pids in subject.pids.values() for pid in pids) / 2**20


def _key(number: int) -> dict[str, Any]:
    return {"name": f"key-{number}", "sha256": hashlib.sha256(new_key().encode()).hexdigest()}


def _table(points: list[Point]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in (
        "what",
        "size",
        "up s",
        "idle MiB",
        "CPU ms",
        "Envoy",
        "filters",
        "rest",
        "p50 ms",
        "p99 ms",
        "1/s",
    ):
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    for point in points:
        figures, cpu = point.figures, point.figures.cpu_ms
        edge = cpu.get("envoy", 0.0), cpu.get("filters", 0.0)
        latency = figures.latency.get("")
        table.add_row(
            point.what,
            f"{point.size:,}",
            f"{point.up_s:.1f}",
            f"{point.idle_mib:.0f}",
            *(f"{value:.3f}" for value in (figures.cpu, *edge, figures.cpu - sum(edge))),
            *(f"{value:.2f}" for value in ((latency.p50, latency.p99) if latency else ())),
            f"{figures.per_s:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
