"""`headgate tenants`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.deletion import follow
from headgate.commands.admin.given import CLEARED, Pricing, changes, given, listed, metadata
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, over_the_api, yes_option
from headgate.commands.admin.shown import Shown
from headgate.commands.limits import print_usage

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_ZONE = "One of the zones that its requests may go to; may be repeated."
_RETENTION = "How long the usage store keeps its requests: 30d, at most 3650d."
_PRICING = "What it pays of the models' prices, in the place of its plan's: '{discount: 10%}'."
_COLUMNS = ("id", "display_name", "plan", "zones", "disabled", "managed_by")


@click.group("tenants")
def command() -> None:
    """Administer tenants and the models that they may use."""


@command.command("list")
@click.option("--plan", help="Only those that have this plan.")
@click.option("--disabled/--enabled", default=None, help="Only those that are, or are not.")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, **asked: Any) -> None:
    """List the tenants that this key may see."""
    show_list(client, shown, "tenants", _COLUMNS, **asked)


@command.command("show")
@click.argument("tenant")
@over_the_api
def show(client: "AdminClient", shown: Shown, tenant: str) -> None:
    """Show a tenant."""
    shown.one(client.get(path_of("tenants", tenant)).body)


@command.command("create")
@click.argument("tenant")
@click.option("--display-name", help="What people call it.  [default: its name]")
@click.option("--plan", help="Whose limits it has.")
@click.option("--zone", "zones", multiple=True, help=_ZONE)
@click.option("--pin-targets", is_flag=True, default=None, help="Its requests may name their target.")
@click.option("--store-prompts", is_flag=True, default=None, help="Its prompts may be kept.")
@click.option("--usage-retention", metavar="DAYS", help=_RETENTION)
@click.option("--pricing", type=Pricing(), help=_PRICING)
@click.option("--metadata", "pairs", multiple=True, metavar="NAME=VALUE", help="Anything of yours; may be repeated.")
@over_the_api
def create(
    client: "AdminClient",
    shown: Shown,
    tenant: str,
    display_name: str | None,
    plan: str | None,
    zones: tuple[str, ...],
    pin_targets: bool | None,
    store_prompts: bool | None,
    usage_retention: str | None,
    pricing: dict[str, Any] | None,
    pairs: tuple[str, ...],
) -> None:
    """Create a tenant. TENANT is its name for good: as in gateway.yaml, and never another's."""
    body = given(
        id=tenant,
        display_name=display_name,
        plan=plan,
        zones=listed(zones),
        pin_targets=pin_targets,
        store_prompts=store_prompts,
        usage_retention=usage_retention,
        pricing=pricing,
        metadata=metadata(pairs),
    )
    shown.one(client.post("tenants", body).body)


@command.command("update")
@click.argument("tenant")
@click.option("--display-name", help="What people call it.")
@click.option("--plan", help="Whose limits it has.")
@click.option("--no-plan", is_flag=True, help="It has no plan any more.")
@click.option("--zone", "zones", multiple=True, help=_ZONE)
@click.option("--no-zones", is_flag=True, help="Its plan's zones hold again.")
@click.option("--pin-targets/--no-pin-targets", default=None, help="Whether its requests may name their target.")
@click.option("--store-prompts/--no-store-prompts", default=None, help="Whether its prompts may be kept.")
@click.option("--usage-retention", metavar="DAYS", help=_RETENTION)
@click.option("--no-usage-retention", is_flag=True, help="As long as the store keeps everybody's.")
@click.option("--pricing", type=Pricing(), help=_PRICING)
@click.option("--no-pricing", is_flag=True, help="Its plan's holds again.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether its requests are refused.")
@click.option("--metadata", "pairs", multiple=True, metavar="NAME=VALUE", help="In place of what is there.")
@over_the_api
def update(
    client: "AdminClient",
    shown: Shown,
    tenant: str,
    plan: str | None,
    no_plan: bool,
    zones: tuple[str, ...],
    no_zones: bool,
    usage_retention: str | None,
    no_usage_retention: bool,
    pricing: dict[str, Any] | None,
    no_pricing: bool,
    pairs: tuple[str, ...],
    **settings: Any,
) -> None:
    """Change what the options name."""
    body = changes(
        plan=CLEARED if no_plan else plan,
        zones=listed(zones, no_zones),
        usage_retention=CLEARED if no_usage_retention else usage_retention,
        pricing=CLEARED if no_pricing else pricing,
        metadata=metadata(pairs),
        **settings,
    )
    shown.one(client.patch(path_of("tenants", tenant), body).body)


@command.command("delete")
@click.argument("tenant")
@yes_option
@click.option("--wait", is_flag=True, help="Until everything is gone.")
@over_the_api
def delete(client: "AdminClient", shown: Shown, tenant: str, yes: bool, wait: bool) -> None:
    """Delete a tenant and all that it has, in every store."""
    path = path_of("tenants", tenant)
    confirm(f"Delete tenant {tenant}: its keys, people, limits, grants and records? There is no way back.", yes)
    deletion = client.delete(path).body
    shown.one(follow(client, deletion) if wait else deletion)


@command.command("usage")
@click.argument("tenant")
@click.option("--key", help="Only the limits that this key has to keep, by its id.")
@click.option("--model", help="Only the limits that requests for this model have to keep.")
@click.option("--user", help="The limits of this user too, the text of requests' `user`.")
@over_the_api
def usage(client: "AdminClient", shown: Shown, tenant: str, user: str | None, **asked: Any) -> None:
    """Show how much of its limits a tenant has used, as `headgate limits show` does beside the gateway."""
    used = client.get(path_of("tenants", tenant, "usage"), user=user, **asked).body
    if shown.as_json:
        shown.one(used)
    else:
        print_usage(used, user)


@command.command("models")
@click.argument("tenant")
@list_options
@over_the_api
def models(client: "AdminClient", shown: Shown, tenant: str, **page: Any) -> None:
    """List the models that a tenant may use."""
    show_list(client, shown, path_of("tenants", tenant, "grants"), ("model", "managed_by", "created_by"), **page)


@command.command("grant")
@click.argument("tenant")
@click.argument("model")
@over_the_api
def grant(client: "AdminClient", shown: Shown, tenant: str, model: str) -> None:
    """Let a tenant use a model."""
    answer = client.put(path_of("tenants", tenant, "grants", open_end=model)).body
    shown.said(f"{tenant} may use {model}", answer)


@command.command("ungrant")
@click.argument("tenant")
@click.argument("model")
@over_the_api
def ungrant(client: "AdminClient", shown: Shown, tenant: str, model: str) -> None:
    """Take a model from a tenant."""
    client.delete(path_of("tenants", tenant, "grants", open_end=model))
    shown.said(f"{tenant} may not use {model} any more")
