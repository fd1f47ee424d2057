"""`headgate invoices`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import given
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, fail, note, over_the_api, yes_option
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_COLUMNS = ("number", "kind", "tenant", "month", "total", "currency", "issued_at", "corrects", "corrected_by")


@click.group("invoices")
def command() -> None:
    """Bill tenants for a month, and see what they were billed."""


@command.command("create")
@click.option("--month", required=True, metavar="YYYY-MM", help="The month, of UTC. It has to be over.")
@click.option("--tenant", help="Only this tenant.  [default: all that have used something]")
@over_the_api
def create(client: "AdminClient", shown: Shown, month: str, tenant: str | None) -> None:
    """Issue the invoices of a month: one for each tenant, once, however often the command is given.

    Ends with 1 where a tenant's usage could not be billed.
    """
    results: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        answer = client.post("invoices", given(month=month, tenant=tenant, after=after)).body
        results += answer["data"]
        after = answer["next"]
        if after is None:
            break
    rows = [_row(result) for result in results]
    shown.many(results if shown.as_json else rows, None, ("tenant", "status", "number", "total", "reason"))
    if left := [result["tenant"] for result in results if result["status"] == "not_issued"]:
        fail(f"not billed: {', '.join(left)}")


@command.command("list")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--month", metavar="YYYY-MM", help="Only of this month.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str | None, **asked: Any) -> None:
    """List invoices and credit notes, the newest first. A tenant's own people see its own."""
    place, tenant = _place(client, tenant)
    show_list(client, shown, place, _COLUMNS, tenant=tenant if place == "invoices" else None, **asked)


@command.command("show")
@click.argument("number")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page to this file instead.",
)
@click.option("--tenant", help="Whose it is.  [default: the key's own tenant]")
@over_the_api
def show(client: "AdminClient", shown: Shown, number: str, page: Path | None, tenant: str | None) -> None:
    """Show an invoice or a credit note, as it was issued."""
    place, _ = _place(client, tenant)
    if page is None:
        _print(client.get(f"{place}/{path_of(number)}").body, shown)
        return
    content = client.content(f"{place}/{path_of(f'{number}.html')}")
    try:
        page.write_bytes(content)
    except OSError as error:
        fail(f"{page}: {error.strerror}")
    shown.said(f"{number} is in {page}", {"number": number, "file": str(page)})


@command.command("credit")
@click.argument("number")
@click.option("--reason", required=True, help="Why; it stands on the credit note.")
@yes_option
@over_the_api
def credit(client: "AdminClient", shown: Shown, number: str, reason: str, yes: bool) -> None:
    """Take an invoice back as a whole, by a credit note. The month can be billed anew then."""
    path = path_of("invoices", number, "credit-note")
    confirm(f"Take invoice {number} back?", yes)
    shown.one(client.post(path, {"reason": reason}).body)


@command.command("gateways")
@over_the_api
def gateways(client: "AdminClient", shown: Shown) -> None:
    """List the gateways that have stored usage, and whether the usage store has all that it had of them."""
    rows = client.get("usage-gateways").body["data"]
    said = rows if shown.as_json else [row | {"months": ", ".join(row["months"])} for row in rows]
    shown.many(said, None, ("id", "state", "host_id", "months"))


@command.command("accept")
@click.argument("gateway")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@yes_option
@over_the_api
def accept(client: "AdminClient", shown: Shown, gateway: str, reason: str, yes: bool) -> None:
    """Bill what the usage store has of a gateway: an unknown one's, or what is left of what it had."""
    path = path_of("usage-gateways", gateway, "accept")
    confirm(f"Bill what the usage store has of gateway {gateway}, and no more?", yes)
    shown.one(client.post(path, {"reason": reason}).body)


@command.command("lost")
@click.option("--reason", required=True, help="Why; it stands in the audit log.")
@yes_option
@over_the_api
def lost(client: "AdminClient", shown: Shown, reason: str, yes: bool) -> None:
    """Go on without invoices that were issued and that the database lacks. Set another billing.prefix first."""
    confirm("Go on without the invoices that the database lacks?", yes)
    shown.one(client.post("lost-invoices", {"reason": reason}).body)


def _place(client: "AdminClient", tenant: str | None) -> tuple[str, str | None]:
    """Where the caller sees invoices: all of them, or a tenant's own."""
    me = client.get("me").body
    if me.get("role") == "admin" and me.get("tenant") is None:
        return "invoices", tenant
    tenant = tenant or me.get("tenant")
    if tenant is None:
        raise click.UsageError("give --tenant")
    return path_of("tenants", tenant, "invoices"), tenant


def _row(result: dict[str, Any]) -> dict[str, Any]:
    invoice = result["invoice"] or {}
    return {**result, "number": invoice.get("number"), "total": invoice.get("total")}


def _print(document: dict[str, Any], shown: Shown) -> None:
    if shown.as_json:
        shown.one(document)
        return
    lists = {name: document.get(name) or [] for name in ("lines", "overage")}
    shown.one({name: value for name, value in document.items() if name not in lists})
    for name, rows in lists.items():
        if rows:
            note(f"\n{name}")
            shown.many(rows, None, tuple(rows[0]))
