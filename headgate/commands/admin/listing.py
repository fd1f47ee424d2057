"""Lists: all pages of them, or as much as was asked for."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


def list_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--limit` and `--after`."""
    command = click.option("--after", metavar="CURSOR", help="Go on where an earlier list ended.")(command)
    limit = click.option("--limit", type=click.IntRange(1), help="At most so many.  [default: all]")
    return limit(command)


def show_list(
    client: "AdminClient",
    shown: Shown,
    path: str,
    columns: Sequence[str],
    *,
    limit: int | None,
    after: str | None,
    **filters: Any,
) -> None:
    """Ask for it and print it."""
    found = client.listed(path, limit, after, **filters)
    shown.many(found.data, found.next, columns)
