"""How `headgate usage` writes sums and requests: a table for people, CSV, JSON. Money is exact, and never a float."""

import csv
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import IO, Any

import msgspec

from headgate.admin_client.words import plain
from headgate.commands.usage_asked import moment_text
from headgate.usage_questions import Dimension, ExportedRow, SumRow, Sums

COUNTS = (
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "units",
    "estimated_requests",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


def usd(nano: int) -> str:
    """Of nano-USD, with all its digits."""
    whole, rest = divmod(abs(nano), 10**9)
    return f"{'-' if nano < 0 else ''}{whole}.{rest:09d}".rstrip("0").rstrip(".")


def decimal_text(amount: Decimal | None) -> str | None:
    """All its digits, without an exponent."""
    if amount is None:
        return None
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def cell(value: Any) -> Any:
    """Text for a CSV's cell: clients choose names, and no spreadsheet may take one for a formula."""
    if isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def sum_columns(question: Sums) -> tuple[str, ...]:
    """Of CSV and JSON. Units are of one kind only where they are by unit."""
    counts = tuple(name for name in COUNTS if name != "units" or "unit" in question.by)
    return ("start", *question.by, *counts, "price_usd", "cost_usd")


def sum_values(question: Sums, row: SumRow) -> dict[str, Any]:
    """The values of these columns."""
    values: dict[str, Any] = {"start": moment_text(row.start_s)}
    values |= {name: row.group[name] for name in question.by}
    values |= {name: getattr(row, name) for name in COUNTS}
    values |= {"price_usd": usd(row.price_nano), "cost_usd": decimal_text(row.cost)}
    return {name: values[name] for name in sum_columns(question)}


def request_values(row: ExportedRow) -> dict[str, Any]:
    """A request's, with times and money in words."""
    values: dict[str, Any] = msgspec.structs.asdict(row)
    return values | {"price_usd": usd(values.pop("price_nano")), "cost": decimal_text(row.cost)}


REQUEST_COLUMNS = (*(name for name in ExportedRow.__struct_fields__ if name != "price_nano"), "price_usd")


class CsvOut:
    """A CSV with a head, which waits for the first row: what has no answer writes nothing."""

    def __init__(self, out: IO[str], columns: Sequence[str]) -> None:
        self._columns = columns
        self._writer = csv.writer(out, lineterminator="\n")
        self._has_begun = False

    def write(self, values: dict[str, Any]) -> None:
        """One row; what is not known is empty."""
        self._begin()
        self._writer.writerow(cell(values[name]) for name in self._columns)

    def end(self, stored_until_ms: int) -> None:  # noqa: ARG002 - a CSV has no place for it
        """After the last row."""
        self._begin()

    def _begin(self) -> None:
        if not self._has_begun:
            self._writer.writerow(self._columns)
        self._has_begun = True


class JsonOut:
    """One document, written as it comes: `{"tenant": …, "since": …, "until": …, "rows": […], "stored_until": …}`."""

    def __init__(self, out: IO[str], question: Sums) -> None:
        self._out = out
        begin = {"tenant": question.tenant, "since": moment_text(question.since_s)}
        begin |= {"until": moment_text(question.until_s)}
        self._before = json.dumps(begin).removesuffix("}") + ', "rows": ['

    def write(self, values: dict[str, Any]) -> None:
        """One row."""
        self._out.write(self._before + json.dumps(values))
        self._before = ",\n"

    def end(self, stored_until_ms: int) -> None:
        """After the last row."""
        until = moment_text(stored_until_ms // 1000) if stored_until_ms else None
        before = "" if self._before == ",\n" else self._before
        self._out.write(f'{before}], "stored_until": {json.dumps(until)}}}\n')


class LinesOut:
    """A JSON object on a line for each row."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, values: dict[str, Any]) -> None:
        """One row."""
        self._out.write(json.dumps(values) + "\n")

    def end(self, stored_until_ms: int) -> None:
        """Nothing comes after the last row."""


Out = CsvOut | JsonOut | LinesOut


def print_table(question: Sums, rows: Iterable[SumRow], total: SumRow | None, width: int | None) -> None:
    """For people. What is nowhere has no column."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    counts = [name for name in sum_columns(question) if name in COUNTS and any(getattr(row, name) for row in rows)]
    table = Table(box=None, pad_edge=False)
    heads: list[str] = [*(["from"] if question.width else []), *(_head(name) for name in question.by)]
    for head in heads:
        table.add_column(head)
    for head in (*(name.replace("_", " ") for name in counts), "price USD", "cost USD"):
        table.add_column(head, justify="right")
    for row in rows:
        began = [moment_text(row.start_s)[: 10 if question.width in ("day", "month") else 16].replace("T", " ")]
        groups = [plain(row.group[name]) or "-" for name in question.by]
        table.add_row(*(began if question.width else []), *groups, *_figures(counts, row))
    if total is not None and len(rows) > 1:
        table.add_section()
        table.add_row(*["all" if not index else "" for index in range(len(heads))], *_figures(counts, total))
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def _figures(counts: Sequence[str], row: SumRow) -> list[str]:
    return [*(f"{getattr(row, name):,}" for name in counts), usd(row.price_nano), decimal_text(row.cost) or "-"]


def _head(name: Dimension) -> str:
    return name.removesuffix("_id").replace("_", " ")
