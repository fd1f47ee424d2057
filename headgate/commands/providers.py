"""`headgate providers`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.admin_client.paths import path_of
from headgate.commands.admin.given import secret
from headgate.commands.admin.listing import list_options, show_list
from headgate.commands.admin.session import confirm, over_the_api, yes_option
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


@click.group("providers")
def command() -> None:
    """See providers, and store their credentials."""


@command.command("list")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, **page: Any) -> None:
    """List the providers of gateway.yaml."""
    show_list(client, shown, "providers", ("id", "api", "preset", "zone", "endpoints"), **page)


@command.command("show")
@click.argument("provider")
@over_the_api
def show(client: "AdminClient", shown: Shown, provider: str) -> None:
    """Show a provider, and where its credentials come from."""
    shown.one(client.get(path_of("providers", provider)).body)


@command.group("credentials")
def credentials() -> None:
    """Store credentials, encrypted. They are never shown again."""


@credentials.command("list")
@click.argument("provider")
@over_the_api
def list_credentials(client: "AdminClient", shown: Shown, provider: str) -> None:
    """List a provider's credentials: which there are, not what they are."""
    found = client.get(path_of("providers", provider)).body["credentials"]
    shown.many(found, None, ("field", "source", "updated_at", "created_by"))


@credentials.command("set")
@click.argument("provider")
@click.argument("field")
@over_the_api
def set_(client: "AdminClient", shown: Shown, provider: str, field: str) -> None:
    """Store the credential that comes on standard input; on a terminal it is asked for.

    FIELD is its place in the provider's entry of gateway.yaml, such as api_key.
    """
    path = path_of("providers", provider, "credentials", open_end=field)
    answer = client.put(path, {"secret": secret(f"{field} of {provider}")}).body
    shown.said(f"{field} of {provider} is stored", answer)


@credentials.command("rotate")
@over_the_api
def rotate(client: "AdminClient", shown: Shown) -> None:
    """Encrypt all stored credentials anew under a new data key. What they are stays."""
    answer = client.post(path_of("data-keys", "rotate"), {}).body
    shown.said(f"{answer['credentials']} credentials are encrypted under a new key", answer)


@credentials.command("remove")
@click.argument("provider")
@click.argument("field")
@yes_option
@over_the_api
def remove(client: "AdminClient", shown: Shown, provider: str, field: str, yes: bool) -> None:
    """Remove a stored credential: requests that need it fail from then on."""
    path = path_of("providers", provider, "credentials", open_end=field)
    confirm(f"Remove {field} of {provider}? It can't be had back.", yes)
    client.delete(path)
    shown.said(f"{field} of {provider} is removed")
