"""`headgate keys`."""

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import CLEARED, Duration, Moment, changes, given, limits_of, listed, metadata
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, note, over_the_api, yes_option
from headgate.commands.admin.shown import Shown
from headgate.commands.admin_key import admin
from headgate.config.values import key_name
from headgate.roles import ROLES

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_COLUMNS = ("id", "name", "prefix", "role", "disabled", "expires_at", "valid_until", "last_used_at", "managed_by")
_WHOSE = (
    click.option("--tenant", envvar="HEADGATE_TENANT", help="Whose keys.  [default: the tenant of the key in use]"),
    click.option("--platform", is_flag=True, help="The platform's own keys, which are of no tenant."),
)


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return key_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group("keys")
def command() -> None:
    """Make virtual keys and administer them."""


@command.command("new")
@click.option("--name", default="key", callback=_named, show_default=True, help="What the records call the key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def new(name: str, as_json: bool) -> None:
    """Make a key, offline. It is shown once; gateway.yaml holds only its SHA-256."""
    key = f"hg-{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    if as_json:
        click.echo(json.dumps({"key": key, "name": name, "sha256": digest}))
        return
    click.echo(f"key        {key}")
    click.echo(f"yaml line  - {{name: {json.dumps(name)}, sha256: {digest}}}")


def _of_somebody(run: Any) -> Any:
    """Options that say whose keys are meant, and those of the API."""
    run = over_the_api(run)
    for option in reversed(_WHOSE):
        run = option(run)
    return run


def _keys(client: "AdminClient", tenant: str | None, platform: bool) -> tuple[str, ...]:
    """The path of the keys that are meant. No key is ever the platform's because a tenant was forgotten."""
    if platform:
        if tenant is not None:
            raise click.UsageError("give either --tenant or --platform")
        return ("keys",)
    if tenant is None:
        tenant = client.get("me").body.get("tenant")
    if tenant is None:
        raise click.UsageError("give --tenant, or --platform for the platform's own keys")
    return ("tenants", tenant, "keys")


@command.command("list")
@click.option("--name", help="Only those of this name.")
@click.option("--disabled/--enabled", default=None, help="Only those that are, or are not.")
@click.option("--created-by", metavar="key:ID|user:ID", help="Only those that this key or person has made.")
@list_options
@_of_somebody
def list_(client: "AdminClient", shown: Shown, tenant: str | None, platform: bool, **asked: Any) -> None:
    """List keys: never what they are, only how they begin."""
    show_list(client, shown, path_of(*_keys(client, tenant, platform)), _COLUMNS, **asked)


@command.command("show")
@click.argument("key")
@_of_somebody
def show(client: "AdminClient", shown: Shown, tenant: str | None, platform: bool, key: str) -> None:
    """Show what is known of a key, by the id that the list has."""
    shown.one(client.get(path_of(*_keys(client, tenant, platform), key)).body)


@command.command("create")
@click.option("--name", required=True, callback=_named, help="What the records call the key.")
@click.option("--role", type=click.Choice(ROLES), help="What it may do.  [default: developer; admin with --platform]")
@click.option("--endpoint", "endpoints", multiple=True, help="Only these endpoints (chat); may be repeated.")
@click.option("--model", "models", multiple=True, help="Only these of the tenant's models; may be repeated.")
@click.option("--set-limit", "limits", multiple=True, metavar="LIMIT=VALUE", help="A limit of its own (rpm=5).")
@click.option("--expires", type=Moment(ahead=True), help="When it ends: 2027-01-31, or 90d for in 90 days.")
@click.option("--metadata", "pairs", multiple=True, metavar="NAME=VALUE", help="Anything of yours; may be repeated.")
@_of_somebody
def create(
    client: "AdminClient",
    shown: Shown,
    tenant: str | None,
    platform: bool,
    name: str,
    role: str | None,
    endpoints: tuple[str, ...],
    models: tuple[str, ...],
    limits: tuple[str, ...],
    expires: str | None,
    pairs: tuple[str, ...],
) -> None:
    """Make a key. It alone is printed, once; it can't be had again."""
    body = given(
        name=name,
        role=role or ("admin" if platform else None),
        endpoints=listed(endpoints),
        models=listed(models),
        limits=limits_of(limits) if limits else None,
        expires_at=expires,
        metadata=metadata(pairs),
    )
    _print_new(shown, client.post(path_of(*_keys(client, tenant, platform)), body).body)


@command.command("update")
@click.argument("key")
@click.option("--name", callback=lambda *said: _named(*said) if said[2] else None, help="What the records call it.")
@click.option("--endpoint", "endpoints", multiple=True, help="Only these endpoints; may be repeated.")
@click.option("--all-endpoints", is_flag=True, help="Every endpoint again.")
@click.option("--model", "models", multiple=True, help="Only these of the tenant's models; may be repeated.")
@click.option("--all-models", is_flag=True, help="Every model of the tenant's again.")
@click.option("--set-limit", "limits", multiple=True, metavar="LIMIT=VALUE", help="In place of all that it has.")
@click.option("--no-limits", is_flag=True, help="No limits of its own any more.")
@click.option("--expires", type=Moment(ahead=True), help="When it ends: 2027-01-31, or 90d for in 90 days.")
@click.option("--never-expires", is_flag=True, help="It does not end by itself.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether it is refused.")
@click.option("--metadata", "pairs", multiple=True, metavar="NAME=VALUE", help="In place of what is there.")
@_of_somebody
def update(client: "AdminClient", shown: Shown, tenant: str | None, platform: bool, key: str, **options: Any) -> None:
    """Change what the options name."""
    limits = limits_of(options["limits"]) if options["limits"] else None
    body = changes(
        name=options["name"],
        endpoints=listed(options["endpoints"], options["all_endpoints"]),
        models=listed(options["models"], options["all_models"]),
        limits=CLEARED if options["no_limits"] else limits,
        expires_at=CLEARED if options["never_expires"] else options["expires"],
        disabled=options["disabled"],
        metadata=metadata(options["pairs"]),
    )
    shown.one(client.patch(path_of(*_keys(client, tenant, platform), key), body).body)


@command.command("rotate")
@click.argument("key")
@click.option("--overlap", type=Duration(), help="How long the old one goes on (24h; 0s: not at all).")
@_of_somebody
def rotate(
    client: "AdminClient", shown: Shown, tenant: str | None, platform: bool, key: str, overlap: str | None
) -> None:
    """Replace a key by a new one, which alone is printed, once. For a while both work."""
    path = path_of(*_keys(client, tenant, platform), key, "rotate")
    _print_new(shown, client.post(path, given(overlap=overlap)).body)


@command.command("revoke")
@click.argument("key")
@click.option("--with-made", is_flag=True, help="With the keys that it has made, and those that these have made.")
@yes_option
@_of_somebody
def revoke(
    client: "AdminClient", shown: Shown, tenant: str | None, platform: bool, key: str, with_made: bool, yes: bool
) -> None:
    """End a key for good: everywhere within a second."""
    path = path_of(*_keys(client, tenant, platform), key)
    those = f"{key} and all keys that it has made" if with_made else key
    confirm(f"Revoke {those}? Requests with it are refused from now on.", yes)
    client.delete(path, cascade="true" if with_made else None)
    shown.said(f"{those} {'are' if with_made else 'is'} revoked")


def _print_new(shown: Shown, answer: dict[str, Any]) -> None:
    """The key alone on standard output, so that it can be piped to where it is kept."""
    if shown.as_json:
        click.echo(json.dumps(answer))
        return
    ends = f", until {answer['expires_at']}" if answer.get("expires_at") else ""
    note(f"{answer['id']} ({answer['name']}, {answer['role']}){ends}: this is the only time that it is shown")
    click.echo(answer["key"])


command.add_command(admin)
