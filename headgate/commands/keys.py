"""`headgate keys`."""

import hashlib
import json
import secrets

import click

from headgate.config.values import key_name


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return key_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group("keys")
def command() -> None:
    """Make virtual keys."""


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
