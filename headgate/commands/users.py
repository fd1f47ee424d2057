"""`headgate users`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import CLEARED, changes, given
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, over_the_api, yes_option
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_COLUMNS = ("id", "issuer", "subject", "email", "display_name", "platform_role", "disabled")


@click.group("users")
def command() -> None:
    """Administer people, known by an OpenID provider."""


@command.command("list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--email", help="Only who has this address.")
@click.option("--issuer", help="Only whom this issuer knows.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, **asked: Any) -> None:
    """List people."""
    show_list(client, shown, "users", _COLUMNS, **asked)


@command.command("show")
@click.argument("user")
@over_the_api
def show(client: "AdminClient", shown: Shown, user: str) -> None:
    """Show a person, by the id that the list has."""
    shown.one(client.get(path_of("users", user)).body)


@command.command("create")
@click.option("--issuer", required=True, help="The `iss` of their tokens.")
@click.option("--subject", required=True, help="The `sub` of their tokens.")
@click.option("--email", help="For people who read lists.")
@click.option("--display-name", help="Likewise.")
@click.option("--platform-admin", is_flag=True, help="They may administer everything.")
@over_the_api
def create(client: "AdminClient", shown: Shown, platform_admin: bool, **settings: Any) -> None:
    """Create a person's entry; `headgate members set` makes them a tenant's."""
    body = given(**settings, platform_role="admin" if platform_admin else None)
    shown.one(client.post("users", body).body)


@command.command("update")
@click.argument("user")
@click.option("--email", help="For people who read lists.")
@click.option("--display-name", help="Likewise.")
@click.option("--platform-admin/--no-platform-admin", default=None, help="Whether they may administer everything.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether they are refused everywhere.")
@over_the_api
def update(client: "AdminClient", shown: Shown, user: str, platform_admin: bool | None, **settings: Any) -> None:
    """Change what the options name."""
    role = None if platform_admin is None else "admin" if platform_admin else CLEARED
    body = changes(**settings, platform_role=role)
    shown.one(client.patch(path_of("users", user), body).body)


@command.command("delete")
@click.argument("user")
@yes_option
@over_the_api
def delete(client: "AdminClient", shown: Shown, user: str, yes: bool) -> None:
    """Delete a person's entry and memberships."""
    path = path_of("users", user)
    confirm(f"Delete user {user}, who will be of no tenant any more?", yes)
    client.delete(path)
    shown.said(f"{user} is deleted")
