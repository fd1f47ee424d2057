"""Whether a gateway stays as it was over many requests: `python -m bench.soak`. No part of `headgate bench`.

`--requests` (1,000,000) small ones in a closed loop, in batches; after each, memory (PSS), descriptors and the
batch's times. Prints a line per tenth, and with `--save FOLDER` keeps all, and a picture. It ends with an error where
anything was answered wrongly, a part was started again, more descriptors are left when all clients have gone than
after the first of them had, or Envoy and the filters have grown by more than 5 % since the first tenth.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import meter
from bench.batch import Batch, Outcome
from bench.child import Child
from bench.curves import Panel, draw_curves
from bench.failure import Failure
from bench.figures import Times, times_of
from bench.one_gateway import one_gateway
from bench.saved import keep
from bench.scenarios import short
from bench.subject import Subject, gateway_subject

CONNECTIONS = 64
BATCH = 10_000
MAY_GROW = 0.05
TENTHS = 10

COLUMNS = ("requests", "p50 ms", "p99 ms", "worst p99", "1/s", "MiB", "descriptors", "errors")
_GONE_WITHIN_S = 30.0  # idle connections to the upstream and between parts may stay as long


@dataclass(frozen=True, slots=True)
class Sample:
    """After so many requests: memory in MiB and open descriptors by component, and times of the last batch."""

    requests: int
    memory_mib: dict[str, float]
    descriptors: dict[str, int]
    latency: Times | None
    per_s: float
    errors: dict[str, int]

    @property
    def edge_mib(self) -> float:
        """Envoy and the filters, which have a budget."""
        return self.memory_mib["envoy"] + self.memory_mib["filters"]


def main() -> None:
    """Ask, look, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        with one_gateway() as (_, client, ours):
            subject = gateway_subject(ours.port, ours.keys, ours.parts())
            _batch(client, subject, 0)  # which leaves connections to the upstream that are kept
            before = _descriptors(subject)
            batches = max(given.requests // BATCH, 2)
            samples = [
                _batch(client, subject, number) for number in track(range(batches), console=Console(stderr=True))
            ]
            wrong = [*_wrong(samples), *_left(subject, before)]
            if ours.parts() != dict(subject.pids):
                wrong.append("a part of the gateway was started again")
    except Failure as failure:
        sys.exit(str(failure))
    console.print(_table(samples))
    if given.save:
        found = {"samples": [asdict(sample) for sample in samples], "wrong": wrong}
        path = keep(given.save, "soak", found, ["python", "-m", "bench.soak", *sys.argv[1:]])
        draw(samples, path.with_suffix(".svg"))
    if wrong:
        sys.exit("\n".join(wrong))


def _batch(client: Child, subject: Subject, number: int) -> Sample:
    batch = Batch(subject.port, short(subject), within_s=60 + BATCH * 0.05, connections=CONNECTIONS, count=BATCH)
    outcome = msgspec.json.decode(client.ask(msgspec.json.encode(batch)), type=Outcome)
    return Sample(
        requests=(number + 1) * BATCH,
        memory_mib={name: sum(map(meter.pss_bytes, pids)) / 2**20 for name, pids in subject.pids.items()},
        descriptors=_descriptors(subject),
        latency=times_of(outcome.of().latencies_ms),
        per_s=outcome.answered / outcome.wall_s,
        errors=outcome.errors,
    )


def _wrong(samples: list[Sample]) -> list[str]:
    found = [
        f"{sample.requests}: {text} ({count} times)" for sample in samples for text, count in sample.errors.items()
    ]
    first, last = samples[len(samples) // 10].edge_mib, samples[-1].edge_mib
    if last > first * (1 + MAY_GROW):
        found.append(f"Envoy and the filters have grown from {first:.0f} to {last:.0f} MiB")
    return found


def _left(subject: Subject, before: dict[str, int]) -> list[str]:
    """What has more descriptors than `before`, when all clients have gone."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while True:
        after = _descriptors(subject)
        left = [
            f"{name} has {after[name]} descriptors, {before[name]} before"
            for name in before
            if after[name] > before[name]
        ]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(1)


def _descriptors(subject: Subject) -> dict[str, int]:
    return {name: sum(map(meter.descriptors, pids)) for name, pids in subject.pids.items()}


def tenths(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """A row for each tenth of the requests, as `COLUMNS` has it: medians of its batches, and what its end had."""
    size = -(-len(samples) // TENTHS)
    return [_tenth(samples[at : at + size]) for at in range(0, len(samples), size)]


def _tenth(samples: Sequence[Sample]) -> tuple[str, ...]:
    last, times = samples[-1], [sample.latency for sample in samples if sample.latency]
    p99s = [one.p99 for one in times]
    shown = (median(one.p50 for one in times), median(p99s), max(p99s)) if times else ()
    return (
        f"{last.requests:,}",
        *([f"{value:.1f}" for value in shown] or [""] * 3),
        f"{median(sample.per_s for sample in samples):.0f}",
        ", ".join(f"{name} {value:.0f}" for name, value in last.memory_mib.items()),
        ", ".join(f"{name} {value}" for name, value in last.descriptors.items()),
        str(sum(sum(sample.errors.values()) for sample in samples) or ""),
    )


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Memory, times and descriptors over the requests. Raises OSError, and Failure without matplotlib."""
    at = [sample.requests for sample in samples]
    timed = [(sample.requests, sample.latency) for sample in samples if sample.latency]
    parts = list(samples[0].memory_mib)
    memory = {name: [sample.memory_mib[name] for sample in samples] for name in parts}
    descriptors = {name: [float(sample.descriptors[name]) for sample in samples] for name in parts}
    times = {"p50": [one.p50 for _, one in timed], "p99": [one.p99 for _, one in timed]}
    draw_curves(
        [
            [Panel("memory (PSS) after so many requests", "MiB", at, memory)],
            [Panel(f"latency, {CONNECTIONS} clients", "ms", [requests for requests, _ in timed], times)],
            [Panel("open descriptors", "", at, descriptors)],
        ],
        path,
    )


def _table(samples: Sequence[Sample]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in tenths(samples):
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
