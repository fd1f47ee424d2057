"""`headgate members`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import over_the_api
from headgate.commands.admin.shown import Shown
from headgate.roles import TENANT_ROLES

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


@click.group("members")
def command() -> None:
    """Say which people are a tenant's, and in which role."""


@command.command("list")
@click.argument("tenant")
@click.option("--role", type=click.Choice(TENANT_ROLES), help="Only who has this role.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str, **asked: Any) -> None:
    """List a tenant's people."""
    columns = ("user", "role", "email", "display_name", "disabled")
    show_list(client, shown, path_of("tenants", tenant, "members"), columns, **asked)


@command.command("set")
@click.argument("tenant")
@click.argument("user")
@click.option("--role", type=click.Choice(TENANT_ROLES), required=True, help="What they may do there.")
@over_the_api
def set_(client: "AdminClient", shown: Shown, tenant: str, user: str, role: str) -> None:
    """Make a person a tenant's, or give them another role there."""
    answer = client.put(path_of("tenants", tenant, "members", user), {"role": role}).body
    shown.said(f"{user} is {role} of {tenant}", answer)


@command.command("remove")
@click.argument("tenant")
@click.argument("user")
@click.option("--with-keys", is_flag=True, help="With the keys that they have made, and those that these have made.")
@over_the_api
def remove(client: "AdminClient", shown: Shown, tenant: str, user: str, with_keys: bool) -> None:
    """Take a person out of a tenant."""
    client.delete(path_of("tenants", tenant, "members", user), cascade="true" if with_keys else None)
    shown.said(f"{user} is not of {tenant} any more")
