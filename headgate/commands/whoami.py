"""`headgate whoami`."""

from typing import TYPE_CHECKING

import click

from headgate.commands.admin.session import over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


@click.command("whoami")
@over_the_api
def command(client: "AdminClient", shown: Shown) -> None:
    """Show whom the gateway takes this key or token for, and its roles."""
    shown.one(client.get("me").body)
