"""`headgate limits list|set|unset`: what is set in place of a plan's limits, through the admin API."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import limits_of
from headgate.commands.admin.session import over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_NEVER_SET = '"v0"'
_user = click.option("--user", help="Of this person of the tenant's, by the id that `headgate users list` has.")


@click.command("list")
@click.argument("tenant")
@_user
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str, user: str | None) -> None:
    """List what was set for TENANT in place of its plan's limits."""
    shown.one(client.get(_path(tenant, user)).body)


@click.command("set")
@click.argument("tenant")
@click.argument("limits", nargs=-1, required=True, metavar="LIMIT=VALUE...")
@_user
@over_the_api
def set_(client: "AdminClient", shown: Shown, tenant: str, limits: tuple[str, ...], user: str | None) -> None:
    """Set limits of TENANT in place of its plan's: rpm=600 monthly_usd=25.50 tpm='{limit: 40000, burst: 10000}'.

    Those that are not named stay as they are.
    """
    path, named = _path(tenant, user), limits_of(limits)
    now, etag = _now(client, path)
    shown.one(client.put(path, {"limits": now | named}, etag).body)


@click.command("unset")
@click.argument("tenant")
@click.argument("limits", nargs=-1, metavar="[LIMIT]...")
@click.option("--all", "everything", is_flag=True, help="All that were set.")
@_user
@over_the_api
def unset(
    client: "AdminClient", shown: Shown, tenant: str, limits: tuple[str, ...], everything: bool, user: str | None
) -> None:
    """Let the plan's limits hold again."""
    if everything == bool(limits):
        raise click.UsageError("give either names of limits or --all")
    path = _path(tenant, user)
    now, etag = _now(client, path)
    if missing := [name for name in limits if name not in now]:
        raise click.UsageError(f"not set: {', '.join(missing)}; set: {', '.join(now) or 'none'}")
    left = {name: value for name, value in now.items() if name not in limits}
    if left and not everything:
        shown.one(client.put(path, {"limits": left}, etag).body)
    else:
        client.delete(path, etag)
        shown.said(f"{tenant}{f', {user}' if user else ''}: nothing is set any more")


def _path(tenant: str, user: str | None) -> str:
    return path_of("tenants", tenant, *(("users", user) if user is not None else ()), "limits")


def _now(client: "AdminClient", path: str) -> tuple[dict[str, Any], str]:
    """What is set, and the ETag by which a change in between is found: of what was never set it is version 0's."""
    answer = client.get(path)
    return answer.body["limits"], answer.etag or _NEVER_SET
