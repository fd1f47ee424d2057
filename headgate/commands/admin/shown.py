"""What a command prints on standard output: the API's JSON as one document, or a table for people.

Names and texts in it may be anybody's: nothing that a terminal would act on passes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from headgate.admin_client.words import plain
from headgate.commands.table import print_table


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
        print_table(rows)

    def many(
        self, data: Sequence[Mapping[str, Any]], cursor: str | None, columns: Sequence[str], nothing: str = "none"
    ) -> None:
        """A list: a row for each object with these members. What `cursor` begins with was not asked for."""
        if self.as_json:
            click.echo(json.dumps({"data": data, "next": cursor}))
            return
        if data:
            print_table([[cell(one.get(name)) for name in columns] for one in data], columns)
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
