"""`headgate models`."""

from typing import TYPE_CHECKING, Any

import click

from headgate.commands.admin.listing import list_options
from headgate.commands.admin.session import over_the_api
from headgate.commands.admin.shown import Shown

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient


@click.group("models")
def command() -> None:
    """See the models of gateway.yaml."""


@command.command("list")
@list_options
@over_the_api
def list_(client: "AdminClient", shown: Shown, limit: int | None, after: str | None) -> None:
    """List models and where they are served."""
    found = client.listed("models", limit, after)
    data = found.data if shown.as_json else [_in_a_row(one) for one in found.data]
    shown.many(data, found.next, ("id", "targets", "strategy"))


def _in_a_row(model: dict[str, Any]) -> dict[str, Any]:
    targets = [f"{one['provider']}/{one['model']} ({one['zone']})" for one in model["targets"]]
    return model | {"targets": targets}
