"""`headgate keys admin`: a key of the platform's admin made in the database itself, for who has lost the first."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import msgspec

from headgate import contract
from headgate.commands.options import state_option
from headgate.config.secrets import SecretError, resolve_long
from headgate.config.values import key_name
from headgate.declared import Declared, read_declared
from headgate.peppers import Peppers

if TYPE_CHECKING:
    from headgate.auth_secrets import AuthSecrets
    from headgate.config.model import Gateway

MakeDigest = Callable[[str], tuple[bytes, str]]


@click.command("admin")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="HEADGATE_CONFIG",
    help="The gateway.yaml: needed where it names a database or a pepper.",
)
@state_option
@click.option("--name", default="admin", show_default=True, help="What the records call the key.")
def admin(config: Path | None, state: Path, name: str) -> None:
    """Make a key of the platform's admin without the admin API. It is shown once; other keys stay as they are.

    Works on the database itself, whether the gateway runs or not, for whoever may read the state directory.
    """
    config = config.absolute() if config else None
    secrets = importlib.import_module("headgate.auth_secrets")  # loads the log's library
    try:
        name = key_name(name)
        os.chdir(state)  # what the state's files name is below it
        gateway = _checked(config) if config else None
        declared = _declared(state)
        url, make_digest = _database_url(gateway, declared), _make_digest(gateway, config, declared)
    except FileNotFoundError:
        _fail(f"no gateway was started on {state}: give its --state")
    except (ValueError, SecretError) as error:
        _fail(str(error))
    except secrets.SecretAway as error:
        _fail(f"{error} can't be read: start `headgate up` on this state folder first, or give its --config")
    click.echo(f"admin key  {_made(url, name, make_digest)}")


def _made(url: str, name: str, make_digest: MakeDigest) -> str:
    failures = importlib.import_module("control.store.failures")
    try:
        with contextlib.closing(importlib.import_module("control.store.store").Store.open(url)) as store:
            key: str = importlib.import_module("control.admin_key").make_another_key(store, name, make_digest)
    except failures.StoreError as error:
        _fail(str(error))
    return key


def _checked(config: Path) -> "Gateway":
    checked = importlib.import_module("headgate.config.check").check(config, os.environ)
    if checked.gateway is None:
        _fail("\n".join(map(str, checked.problems)))
    gateway: Gateway = checked.gateway
    return gateway


def _declared(state: Path) -> Declared:
    try:
        return read_declared(contract.DECLARED)
    except msgspec.DecodeError as error:
        _fail(f"{state / contract.DECLARED}: {error}")


def _database_url(gateway: "Gateway | None", declared: Declared) -> str:
    given = gateway.services.database if gateway else os.environ.get(contract.DATABASE_URL_ENV)
    if given:
        return given
    if declared.has_database and gateway is None:
        _fail("gateway.yaml names a database (services.database): give it with --config")
    url: str = importlib.import_module("control.store.engine").sqlite_url(contract.DATABASE)
    return url


def _make_digest(gateway: "Gateway | None", config: Path | None, declared: Declared) -> MakeDigest:
    if gateway and config and gateway.auth and gateway.auth.pepper:
        return Peppers(resolve_long(gateway.auth.pepper, config.parent, os.environ).encode()).digest
    secrets: AuthSecrets = importlib.import_module("headgate.auth_secrets").AuthSecrets(declared.auth)
    return secrets.peppers().digest


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
