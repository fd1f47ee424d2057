"""`headgate adapters`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.failures import NotAsked, Refused
from headgate.admin_client.paths import path_of
from headgate.commands.admin.adapter_sent import chunks_of, config_of, metrics_of, weights_of
from headgate.commands.admin.adapter_tables import show_adapter, show_adapters, show_version
from headgate.commands.admin.given import given
from headgate.commands.admin.listing import list_options
from headgate.commands.admin.progress import bar
from headgate.commands.admin.promotion import follow, version_of, waits_for
from headgate.commands.admin.session import confirm, fail, note, over_the_api, yes_option
from headgate.commands.admin.shown import Shown
from headgate.directory.rows import ADAPTER_NAME_SAID, is_adapter_name

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

tenant_option = click.option(
    "--tenant",
    envvar="HEADGATE_TENANT",
    help="Whose they are; `shared`: the platform's.  [default: the key's tenant]",
)


@click.group("adapters")
def command() -> None:
    """Administer LoRA adapters and say which version of each is live."""


@command.command("push")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--name", required=True, help="The adapter; clients ask for it as TENANT/NAME.")
@click.option("--base", metavar="MODEL", help="Make it, if there is none: the model of gateway.yaml that it changes.")
@click.option("--promote", "wanted", is_flag=True, help="Have the version go live.")
@click.option("--revision", help="Of the base model: the commit that it was trained on.")
@click.option("--parent", type=click.IntRange(min=1), metavar="VERSION", help="The version that training began with.")
@click.option("--job", help="The run that trained it.")
@click.option("--data-sha256", metavar="HEX", help="The SHA-256 of its data set.")
@click.option("--metric", "pairs", multiple=True, metavar="NAME=NUMBER", help="How good it is; may be repeated.")
@click.option("--metrics", "file", type=click.Path(path_type=Path), help="A JSON file of such numbers.")
@tenant_option
@over_the_api
def push(
    client: "AdminClient",
    shown: Shown,
    folder: Path,
    name: str,
    base: str | None,
    tenant: str | None,
    *,
    wanted: bool,
    file: Path | None,
    pairs: tuple[str, ...],
    **told: Any,
) -> None:
    """Send a new version: what peft has saved in FOLDER, adapter_config.json and a safetensors file.

    What is said of it (the revision, where it comes from, how good it is) is signed with it.
    """
    config, weights = config_of(folder), weights_of(folder)
    about = given(**told, metrics=metrics_of(file, pairs))
    path = _path(client, tenant, name)
    _make(client, path, name, base)
    size = len(config) + weights.stat().st_size
    with bar(f"{folder}", size) as done:
        version = client.upload(f"{path}/versions", chunks_of(config, weights, done), size, **about).body
    if wanted:
        adapter = client.post(f"{path}/promote", {"version": version["version"]}).body
        version = version_of(adapter, version["version"])
    show_version(shown, version)


def _make(client: "AdminClient", path: str, name: str, base: str | None) -> None:
    """Unless it is there already. Raises NotAsked where it is of another base, or nobody has said of which."""
    try:
        found = client.get(path).body["base_model"]
    except Refused as refused:
        if refused.status != 404 or "tenant" in refused.problem.get("detail", ""):
            raise
        if base is None:
            text = f"there is no adapter {name}: --base MODEL makes it, of a model of gateway.yaml"
            raise NotAsked(f"{text} whose engines load adapters (max_loras)") from None
        client.post(path.rpartition("/")[0], {"name": name, "base_model": base})
    else:
        if base not in (None, found):
            text = f"adapter {name} changes the model {found}, and --base says {base}: leave --base out"
            raise NotAsked(f"{text}, or push under another name")


@command.command("delete")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1), required=False)
@tenant_option
@yes_option
@over_the_api
def delete(
    client: "AdminClient", shown: Shown, name: str, version: int | None, tenant: str | None, *, yes: bool
) -> None:
    """Delete a version with its files, or an adapter that has none left."""
    what = name if version is None else f"version {version} of {name}"
    confirm(f"Delete {what}?", yes=yes)
    more = () if version is None else ("versions", str(version))
    client.delete(_path(client, tenant, name, *more))
    shown.said(f"{what} is deleted")


@command.command("create")
@click.argument("name")
@click.option("--base", required=True, metavar="MODEL", help="The model of gateway.yaml that it changes.")
@tenant_option
@over_the_api
def create(client: "AdminClient", shown: Shown, name: str, base: str, tenant: str | None) -> None:
    """Make an adapter, still without a version. Clients will ask for it as TENANT/NAME."""
    show_adapter(shown, client.post(_path(client, tenant), given(name=name, base_model=base)).body)


@command.command("list")
@tenant_option
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, tenant: str | None, limit: int | None, after: str | None) -> None:
    """List adapters."""
    found = client.listed(_path(client, tenant), limit, after)
    show_adapters(shown, found.data, found.next)


@command.command("show")
@click.argument("name")
@tenant_option
@over_the_api
def show(client: "AdminClient", shown: Shown, name: str, tenant: str | None) -> None:
    """Show an adapter and its versions."""
    show_adapter(shown, client.get(_path(client, tenant, name)).body)


@command.command("promote")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option(
    "--weight", type=click.IntRange(1, 100), metavar="PERCENT", help="Share the requests with the live version."
)
@click.option("--wait", is_flag=True, help="Until it is live; exit code 1 if it has failed.")
@tenant_option
@over_the_api
def promote(
    client: "AdminClient",
    shown: Shown,
    name: str,
    version: int,
    weight: int | None,
    tenant: str | None,
    *,
    wait: bool,
) -> None:
    """Have a version go live: at once, or as soon as engines have loaded it."""
    path = _path(client, tenant, name)
    adapter = client.post(f"{path}/promote", given(version=version, weight=weight)).body
    if wait:
        adapter = follow(client, path, adapter, version)
    show_adapter(shown, adapter)
    found = version_of(adapter, version)
    if found["wanted_weight"] is not None:
        note(f"version {version} goes live when engines have loaded it, and waits for {waits_for(found)}")
        note(f"look with `headgate adapters show {name}`")
    elif wait and found["state"] != "live":
        fail(f"version {version} is {found['state']}: {found['failure'] or 'another one was promoted'}")


@command.command("rollback")
@click.argument("name")
@tenant_option
@over_the_api
def rollback(client: "AdminClient", shown: Shown, name: str, tenant: str | None) -> None:
    """Go back to the version that was live before, at once."""
    show_adapter(shown, client.post(_path(client, tenant, name, "rollback"), {}).body)


@command.command("retire")
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@tenant_option
@yes_option
@over_the_api
def retire(client: "AdminClient", shown: Shown, name: str, version: int, tenant: str | None, *, yes: bool) -> None:
    """End a version for good. If no other one is live, requests for the adapter are refused from then on."""
    confirm(f"End version {version} of {name} for good?", yes=yes)
    show_adapter(shown, client.post(_path(client, tenant, name, "versions", str(version), "retire"), {}).body)


def _path(client: "AdminClient", tenant: str | None, name: str | None = None, *more: str) -> str:
    if name is not None and not is_adapter_name(name):
        raise click.UsageError(f"expected an adapter's name: {ADAPTER_NAME_SAID}, without its tenant; found {name!r}")
    tenant = tenant or client.get("me").body.get("tenant")
    if tenant is None:
        raise click.UsageError("give --tenant")
    return path_of("tenants", tenant, "adapters", *([name] if name is not None else []), *more)
