"""A table for people: cut nowhere in a file or a pipe, folded at the width of a terminal."""

import sys
from collections.abc import Collection, Sequence

import click

_NOT_CUT = 100_000  # columns in a file or a pipe


def print_table(rows: Sequence[Sequence[str]], columns: Sequence[str] = (), numbers: Collection[str] = ()) -> None:
    """Without `columns` there is no head, and there are two; `numbers` are those that stand at the right."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _NOT_CUT, highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, show_header=bool(columns))
    for column in columns or ("", ""):
        table.add_column(column.replace("_", " "), overflow="fold", justify="right" if column in numbers else "left")
    for row in rows:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))
