"""What a request costs as things grow: `python -m bench.growth`. No part of `headgate bench`.

A gateway is started for each size, warmed, and asked small questions (for prompts: questions of that size) in a
closed loop: of keys, models and tenants by all in turn, or by a thousand of them. `--only` names what grows. Prints a
table, and with `--save FOLDER` keeps it as JSON and as a picture. It ends with an error where anything was answered
wrongly.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from bench import meter
from bench.batch import Ask
from bench.child import Child, running
from bench.compare import measured, warmed
from bench.curves import Panel, draw_curves
from bench.failure import Failure
from bench.figures import Figures
from bench.gateway import MODEL, Gateway, gateway, new_key
from bench.ready import until_answered, until_quiet
from bench.saved import keep
from bench.scenarios import Scenario, prompts, short
from bench.stored import Stored
from bench.subject import Subject, bearer, gateway_subject

CONNECTIONS = 16
SECONDS, WARM_S = 4.0, 1.0
ASKED = 1_000  # of as many keys, models or tenants there are requests, if there are more

COLUMNS = ("what", "size", "up s", "idle MiB", "CPU ms", "Envoy", "filters", "rest", "p50 ms", "p99 ms", "1/s")

Asks = Callable[[Subject], list[Ask]]


class Grow(Protocol):
    """Adds so many of them to a configuration, in place; what is asked then."""

    def __call__(self, config: dict[str, Any], count: int) -> Asks:
        """Requests by all of them."""


def _keys(config: dict[str, Any], count: int) -> Asks:
    keys = [new_key() for _ in range(count)]
    config["tenants"]["bench"]["keys"] += [_key(number, key) for number, key in enumerate(keys)]
    return _by_keys(keys)


def _models(config: dict[str, Any], count: int) -> Asks:
    names, chain = [f"model-{number}" for number in range(count)], config["models"][MODEL]
    config["models"] |= dict.fromkeys(names, chain)
    config["tenants"]["bench"]["models"] += names
    return lambda subject: [ask for name in _some(names) for ask in short(replace(subject, models={"chat": name}))]


def _tenants(config: dict[str, Any], count: int) -> Asks:
    keys = [new_key() for _ in range(count)]
    config["tenants"] |= {
        f"tenant-{number}": {"plan": "counted", "models": [MODEL], "keys": [_key(number, key)]}
        for number, key in enumerate(keys)
    }
    return _by_keys(keys)


def _prompts(config: dict[str, Any], count: int) -> Asks:  # noqa: ARG001 - the configuration stays
    return prompts(count)


def _nothing(config: dict[str, Any], count: int) -> Asks:  # noqa: ARG001 - an option says how many workers there are
    return short


def _by_keys(keys: list[str]) -> Asks:
    return lambda subject: [ask for key in _some(keys) for ask in short(replace(subject, headers=bearer(key)))]


def _some(names: list[str]) -> list[str]:
    return names[:: max(len(names) // ASKED, 1)][:ASKED]


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows, and to which sizes."""

    sizes: tuple[int, ...]
    grow: Grow


GROWTHS: Mapping[str, Growth] = {
    "prompts": Growth((1_000, 10_000, 100_000, 1_000_000), _prompts),
    "keys": Growth((10, 1_000, 10_000, 100_000), _keys),
    "models": Growth((1, 10, 100, 1_000), _models),
    "tenants": Growth((1, 100, 1_000, 10_000), _tenants),
    "workers": Growth((1, 2, 4), _nothing),
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
        path = keep(given.save, "growth", found, ["python", "-m", "bench.growth", *sys.argv[1:]])
        draw(points, path.with_suffix(".svg"))
    if errors := [f"{point.what} {point.size}: {point.figures.errors}" for point in points if point.figures.errors]:
        sys.exit("\n".join(errors))


def _points(names: list[str]) -> Iterator[Point]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        upstream = int(stack.enter_context(running("bench.upstream", "10")).line())
        client = stack.enter_context(running("bench.client"))
        for name in names:
            for size in GROWTHS[name].sizes:
                yield _grown(folder / f"{name}-{size}", upstream, client, name, size)


def _grown(folder: Path, upstream: int, client: Child, name: str, size: int) -> Point:
    found: list[Asks] = []
    options = ("--workers", str(size)) if name == "workers" else ()
    grow = GROWTHS[name].grow
    with gateway(folder, upstream, *options, grow=lambda config: found.append(grow(config, size))) as started:
        return _point(client, started, Scenario(name, name, found[0], CONNECTIONS), size)


def _point(client: Child, started: Gateway, scenario: Scenario, size: int) -> Point:
    up_s = until_answered(client, gateway_subject(started.port, started.keys, {}), started.check) - started.began
    started.wait_for_the_rest()
    subject = gateway_subject(started.port, started.keys, started.parts(), Stored(started.state))
    until_quiet(subject)
    idle = _memory(subject)
    warmed(client, subject, scenario, WARM_S)
    return Point(scenario.name, size, up_s, idle, measured(client, subject, scenario, SECONDS))


def draw(points: list[Point], path: Path) -> None:
    """What grows, a row each: CPU by part, and latency. Raises OSError, and Failure without matplotlib."""
    rows = []
    for what in dict.fromkeys(point.what for point in points):
        those = [point for point in points if point.what == what]
        rows.append((_cpu(what, those), _latency(what, those)))
    draw_curves(rows, path)


def _cpu(what: str, points: list[Point]) -> Panel:
    parts = {
        "Envoy": [point.figures.cpu_ms.get("envoy", 0.0) for point in points],
        "filters": [point.figures.cpu_ms.get("filters", 0.0) for point in points],
        "all": [point.figures.cpu for point in points],
    }
    return _panel(f"{_titled(what)}: CPU per request", [point.size for point in points], parts)


def _latency(what: str, points: list[Point]) -> Panel:
    found = [(point.size, latency) for point in points if (latency := point.figures.latency.get(""))]
    times = {"p50": [latency.p50 for _, latency in found], "p99": [latency.p99 for _, latency in found]}
    return _panel(f"{_titled(what)}: latency, {CONNECTIONS} clients", [size for size, _ in found], times)


def _panel(title: str, sizes: list[int], lines: dict[str, list[float]]) -> Panel:
    # Sizes grow by factors of ten; what a prompt costs does so with them.
    return Panel(title, "ms", sizes, lines, log_x=True, log_y=title.startswith("prompts"))


def _titled(what: str) -> str:
    return f"{what}, bytes" if what == "prompts" else what


def _memory(subject: Subject) -> float:
    return sum(meter.pss_bytes(pid) for pids in subject.pids.values() for pid in pids) / 2**20


def _key(number: int, key: str) -> dict[str, Any]:
    return {"name": f"key-{number}", "sha256": hashlib.sha256(key.encode()).hexdigest()}


def cells(point: Point) -> tuple[str, ...]:
    """One row, as `COLUMNS` has it."""
    figures, cpu = point.figures, point.figures.cpu_ms
    edge = cpu.get("envoy", 0.0), cpu.get("filters", 0.0)
    latency = figures.latency.get("")
    return (
        point.what,
        f"{point.size:,}",
        f"{point.up_s:.1f}",
        f"{point.idle_mib:.0f}",
        *(f"{value:.3f}" for value in (figures.cpu, *edge, figures.cpu - sum(edge))),
        *((f"{latency.p50:.2f}", f"{latency.p99:.2f}") if latency else ("", "")),
        f"{figures.per_s:.0f}",
    )


def _table(points: list[Point]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    for point in points:
        table.add_row(*cells(point))
    return table


if __name__ == "__main__":
    main()
