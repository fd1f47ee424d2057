"""`headgate deletions`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.deletion import follow
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


@click.group("deletions")
def command() -> None:
    """See how far the deletions of tenants are."""


@command.command("list")
@click.option("--finished/--unfinished", default=None, help="Only those that are, or are not.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, **asked: Any) -> None:
    """List deletions, finished ones too."""
    columns = ("id", "tenant", "requested_at", "requested_by", "done", "finished_at")
    show_list(client, shown, "deletions", columns, **asked)


@command.command("show")
@click.argument("deletion")
@click.option("--wait", is_flag=True, help="Until it has finished.")
@over_the_api
def show(client: "AdminClient", shown: Shown, deletion: str, wait: bool) -> None:
    """Show a deletion, and which stores are done."""
    found = client.get(path_of("deletions", deletion)).body
    shown.one(follow(client, found) if wait else found)
