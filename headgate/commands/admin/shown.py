"""What a command prints on standard output: the API's JSON as one document, or a table for people.

Names and texts in it may be anybody's: nothing that a terminal would act on passes.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from headgate.admin_client.words import plain

_NOT_CUT = 100_000  # columns in a file or a pipe


@dataclass(frozen=True, slots=True)
class Shown:
    """`as_json` as the operator wished."""

    as_json: bool

    def one(self, answer: Mapping[str, Any]) -> None:
        """One object: a line for each of its members that says something."""
        if self.as_json:
            click.echo(json.dumps(answer))
            return
        rows = [(name, cell(value)) for name, value in answer.items() if value not in (None, {}, [])]
        _print(rows, ())

    def many(
        self, data: Sequence[Mapping[str, Any]], cursor: str | None, columns: Sequence[str], nothing: str = "none"
    ) -> None:
        """A list: a row for each object with these members. What `cursor` begins with was not asked for."""
        if self.as_json:
            click.echo(json.dumps({"data": data, "next": cursor}))
            return
        if data:
            _print([[cell(one.get(name)) for name in columns] for one in data], columns)
        else:
            click.echo(nothing, err=True)
        if cursor:
            click.echo(f"there are more: raise --limit, or go on with --after {cursor}", err=True)

    def said(self, text: str, answer: Any = None) -> None:
        """What was done, where there is nothing to show of it."""
        if self.as_json:
            click.echo(json.dumps(answer if answer is not None else {}))
        else:
            click.echo(text, err=True)


def cell(value: Any) -> str:
    """A member's value in a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() if not any(isinstance(item, dict | list) for item in value):
            return ", ".join(plain(item) for item in value) or "none"
    return plain(value)


def _print(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _NOT_CUT, highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, show_header=bool(columns))
    for column in columns or ("", ""):
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))
