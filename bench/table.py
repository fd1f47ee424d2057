"""The report for people."""

from rich.console import Console
from rich.table import Table

from bench.report import Report, Row

_COLUMNS = ("measure", "plain", "gateway", "compared", "spread", "at most", "")


def print_report(report: Report, console: Console) -> None:
    """The table, and what was counted beneath it."""
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("measure", "") else "right", no_wrap=True)
    for row in report.rows:
        table.add_row(*_cells(row))
    console.print(table)
    console.print(
        f"{report.rounds} rounds on {report.cores} cores: {report.requests} requests, {report.streams} streams, "
        f"{report.chunks} chunks; medians, and the lowest and highest round"
    )
    for text, count in report.errors.items():
        console.print(f"{count} x {text}", markup=False, style="red")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.measure,
        "" if row.plain is None else f"{_number(row.plain)} {row.unit}",
        f"{_number(row.gateway)} {row.unit}",
        _compared(row),
        "" if row.low == row.high else f"{_number(row.low)} to {_number(row.high)}",
        "" if row.budget is None else _with_unit(row, row.budget),
        row.verdict or "",
    )


def _compared(row: Row) -> str:
    if row.compared == "added":
        return f"{row.figure:+.2f} {row.unit}"
    if row.compared == "ratio":
        return f"{_number(row.figure)} x"
    return f"{_number(row.gateway / row.plain)} x" if row.plain else ""


def _with_unit(row: Row, value: float) -> str:
    if row.compared == "ratio":
        return f"{value:g} x"
    return f"{'+' if row.compared == 'added' else ''}{value:g} {row.unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
