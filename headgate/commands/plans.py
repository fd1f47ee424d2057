"""`headgate plans`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import CLEARED, Pricing, changes, given, limits_of, listed
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, over_the_api, yes_option
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_ZONE = "One of the zones that its tenants' requests may go to; may be repeated."
_PRICING = "What its tenants pay of the models' prices: '{markup: 20%, models: {big: {discount: 5%}}}'."


@click.group("plans")
def command() -> None:
    """Administer plans: limits that several tenants have."""


@command.command("list")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, **page: Any) -> None:
    """List plans."""
    show_list(client, shown, "plans", ("id", "display_name", "limits", "zones", "managed_by"), **page)


@command.command("show")
@click.argument("plan")
@over_the_api
def show(client: "AdminClient", shown: Shown, plan: str) -> None:
    """Show a plan."""
    shown.one(client.get(path_of("plans", plan)).body)


@command.command("create")
@click.argument("plan")
@click.argument("limits", nargs=-1, metavar="[LIMIT=VALUE]...")
@click.option("--display-name", help="What people call it.  [default: its name]")
@click.option("--zone", "zones", multiple=True, help=_ZONE)
@click.option("--pricing", type=Pricing(), help=_PRICING)
@over_the_api
def create(
    client: "AdminClient",
    shown: Shown,
    plan: str,
    limits: tuple[str, ...],
    display_name: str | None,
    zones: tuple[str, ...],
    pricing: dict[str, Any] | None,
) -> None:
    """Create a plan, with limits as in gateway.yaml: rpm=60 tpm='{limit: 40000, burst: 10000}'."""
    named = {"display_name": display_name, "zones": listed(zones), "pricing": pricing}
    body = given(id=plan, limits=limits_of(limits), **named)
    shown.one(client.post("plans", body).body)


@command.command("update")
@click.argument("plan")
@click.argument("limits", nargs=-1, metavar="[LIMIT=VALUE]...")
@click.option("--display-name", help="What people call it.")
@click.option("--zone", "zones", multiple=True, help=_ZONE)
@click.option("--no-zones", is_flag=True, help="Any zone.")
@click.option("--pricing", type=Pricing(), help=_PRICING)
@click.option("--no-pricing", is_flag=True, help="The models' prices.")
@over_the_api
def update(
    client: "AdminClient",
    shown: Shown,
    plan: str,
    limits: tuple[str, ...],
    display_name: str | None,
    zones: tuple[str, ...],
    no_zones: bool,
    pricing: dict[str, Any] | None,
    no_pricing: bool,
) -> None:
    """Change what is given; limits, all of them, take the place of those that the plan has."""
    body = changes(
        display_name=display_name,
        limits=limits_of(limits) if limits else None,
        zones=listed(zones, no_zones),
        pricing=CLEARED if no_pricing else pricing,
    )
    shown.one(client.patch(path_of("plans", plan), body).body)


@command.command("delete")
@click.argument("plan")
@yes_option
@over_the_api
def delete(client: "AdminClient", shown: Shown, plan: str, yes: bool) -> None:
    """Delete a plan that no tenant has."""
    path = path_of("plans", plan)
    confirm(f"Delete plan {plan}?", yes)
    client.delete(path)
    shown.said(f"{plan} is deleted")
