"""`headgate credits`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import Day, given
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import note, over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_COLUMNS = (
    "id",
    "tenant",
    "kind",
    "amount",
    "currency",
    "expires_on",
    "created_at",
    "of",
    "note",
    "tenant_deleted_at",
)
_LEFT = ("id", "kind", "amount", "left", "expires_on", "has_ended")


@click.group("credits")
def command() -> None:
    """Book credits for tenants, and see what is left of them."""


@command.command("book")
@click.argument("tenant")
@click.option("--kind", type=click.Choice(["prepaid", "granted", "adjustment"]), required=True, help="What it is.")
@click.option("--amount", required=True, metavar="USD", help="In US dollars, exactly; of an adjustment also below 0.")
@click.option("--expires", type=Day(), help="The last day (UTC) it can be used on: 2027-01-31, or 90d.")
@click.option("--note", "why", help="What is to be known of it; an adjustment has to say why.")
@over_the_api
def book(
    client: "AdminClient",
    shown: Shown,
    tenant: str,
    kind: str,
    amount: str,
    expires: str | None,
    why: str | None,
) -> None:
    """Book an entry. Nothing takes it back but an adjustment."""
    body = given(kind=kind, amount=amount, expires_on=expires, note=why)
    shown.one(client.post(path_of("tenants", tenant, "credits"), body).body)


@command.command("list")
@click.option("--tenant", help="Only this tenant's.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str | None, **asked: Any) -> None:
    """List what was booked, the newest first. A tenant's own people see its own."""
    me = client.get("me").body
    if me.get("role") == "admin" and me.get("tenant") is None:
        show_list(client, shown, "credits", _COLUMNS, tenant=tenant, **asked)
        return
    tenant = tenant or me.get("tenant")
    if tenant is None:
        raise click.UsageError("give --tenant")
    show_list(client, shown, path_of("tenants", tenant, "credits", "entries"), _COLUMNS, **asked)


@command.command("show")
@click.argument("tenant")
@over_the_api
def show(client: "AdminClient", shown: Shown, tenant: str) -> None:
    """Show what is left of a tenant's credits, and of which entries."""
    account = client.get(path_of("tenants", tenant, "credits")).body
    if shown.as_json:
        shown.one(account)
        return
    entries = account.pop("entries")
    shown.one(account)
    if entries:
        note("")
        shown.many(entries, None, _LEFT)
