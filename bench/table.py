"""The report for people."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.report import Report, Row
from bench.way_rows import Added, WayRow

COLUMNS = ("measure", "plain", "gateway", "other", "compared", "spread", "budget", "")

WAY_COLUMNS = (
    *("scenario", "way", "1/s", "p50 ms", "p99", "p99.9", "first p50", "jitter p99"),
    *("CPU ms", "to ours", "CPU µs/chunk", "MiB", "sockets", "errors"),
)


def print_report(report: Report, console: Console) -> None:
    """The tables, and what was counted beneath them."""
    if report.rows:
        _print_budgets(report, console)
    if report.ways:
        console.print(_ways(report.ways))
    for text, count in report.errors.items():
        console.print(f"{count} x {text}", markup=False, style="red")


def _print_budgets(report: Report, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("measure", "") else "right", no_wrap=True)
    for row in report.rows:
        table.add_row(*budget_cells(row))
    console.print(table)
    console.print(
        f"{report.rounds} rounds on {report.cores} cores: {report.requests} requests, {report.streams} streams, "
        f"{report.chunks} chunks; medians, and the lowest and highest round"
    )


def _ways(rows: Iterable[WayRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in WAY_COLUMNS:
        table.add_column(column, justify="left" if column in ("scenario", "way") else "right", no_wrap=True)
    before = ""
    for row in rows:
        if before and before != row.scenario:
            table.add_section()
        table.add_row("" if before == row.scenario else row.scenario, *way_cells(row))
        before = row.scenario
    return table


def way_cells(row: WayRow) -> tuple[str, ...]:
    """What follows the scenario's name, as `WAY_COLUMNS` has it."""
    latency = row.latency if row.added is None else row.added
    first = row.first if row.first_added is None else row.first_added
    return (
        f"{row.way}, {row.label}" if row.label else row.way,
        _number(row.per_s),
        *(_signed(value, row.added) for value in (latency.p50, latency.p99, latency.p999)),
        _signed(first.p50, row.first_added) if first else "",
        "" if row.jitter is None else f"{row.jitter:+.2f}",
        f"{row.cpu_ms:.3f}",
        "" if row.times_ours is None else f"{_number(row.times_ours)} x",
        "" if row.cpu_us_per_chunk is None else _number(row.cpu_us_per_chunk),
        f"{row.memory_mib:.0f}",
        str(row.sockets),
        str(row.errors or ""),
    )


def _signed(value: float, added: Added | None) -> str:
    return f"{value:+.2f}" if added else _number(value)


def budget_cells(row: Row) -> tuple[str, ...]:
    """One row of the budgets, as `COLUMNS` has it."""
    return (
        row.measure,
        "" if row.plain is None else f"{_number(row.plain)} {row.unit}",
        f"{_number(row.gateway)} {row.unit}",
        "" if row.other is None else f"{_number(row.other)} {row.unit}",
        _compared(row),
        "" if row.low == row.high else f"{_number(row.low)} to {_number(row.high)}",
        "" if row.budget is None else _budget(row, row.budget),
        row.verdict or "",
    )


def _compared(row: Row) -> str:
    if row.compared == "added":
        return f"{row.figure:+.2f} {row.unit}"
    if row.compared == "ratio":
        return f"{_number(row.figure)} x"
    if row.compared == "times":
        return f"{_number(row.figure)} x ours"
    return f"{_number(row.gateway / row.plain)} x" if row.plain else ""


def _budget(row: Row, value: float) -> str:
    if row.compared == "times":
        return f"≥ {value:g} x"
    return f"≤ {_with_unit(row, value)}"


def _with_unit(row: Row, value: float) -> str:
    if row.compared == "ratio":
        return f"{value:g} x"
    return f"{'+' if row.compared == 'added' else ''}{value:g} {row.unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
