"""`headgate serve filters` on a network: what it needs, and what is refused without it.

Loopback stays as it is, plain and for development; anything else takes mutual TLS and names of who may call.
"""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from headgate.remote.network import Network, TlsFiles
from headgate.worker import TablesError, WorkerOptions

_FILE = click.Path(path_type=Path)
_KEYS = ("--cert", "--key", "--client-ca", "--client")

Command = TypeVar("Command", bound=Callable[..., Any])


def network_options(command: Command) -> Command:
    """The options of a part that may listen on a network."""
    for option in (
        click.option(
            "--client", multiple=True, help="Who may call: spiffe://…, uri:URI or dns:NAME in its certificate."
        ),
        click.option("--client-ca", type=_FILE, help="CAs that callers' certificates come from, PEM."),
        click.option("--key", type=_FILE, help="The certificate's key, PEM."),
        click.option("--cert", type=_FILE, help="What is shown to callers, PEM. With it, --address is on a network."),
    ):
        command = option(command)
    return command


def network_of(address: str | None, config: Path | None, given: dict[str, Any]) -> Network | None:
    """What the options say; None for a Unix socket or plain loopback. Raises TablesError for what can't be had."""
    values: list[Any] = [given.get(key.strip("-").replace("-", "_")) for key in _KEYS]
    missing = [key for key, value in zip(_KEYS, values, strict=True) if not value]
    if len(missing) == len(_KEYS):
        if address and not _stays_here(address):
            needs = "it takes mutual TLS: --cert, --key, --client-ca and --client" if given else "`filters` alone may"
            raise TablesError(f"--address {address}: that is on a network; {needs}")
        return None
    if address is None or address.startswith("unix:"):
        raise TablesError(f"{_KEYS[0]}: is for --address HOST:PORT; a Unix socket needs none")
    if missing:
        raise TablesError(f"{', '.join(missing)}: missing; a network takes all of {', '.join(_KEYS)}")
    if config:
        raise TablesError("--config: on a network a worker's tables come from the gateway that it works for")
    cert, key, client_ca, clients = values
    files = TlsFiles(cert.absolute(), key.absolute(), client_ca.absolute())
    return Network(files, tuple(map(_name, clients)))


def serve_on_network(options: WorkerOptions, network: Network, state: Path) -> None:
    """Serves in the state folder. Raises TablesError when it cannot begin."""
    os.umask(0o077)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(state)
    except OSError as error:
        raise TablesError(f"{state}: {error.strerror}; give another folder with --state") from error
    importlib.import_module("headgate.remote.serving").run(options, network)


def _stays_here(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    addresses: Any = importlib.import_module("headgate.config.addresses")
    try:
        stays: bool = addresses.is_loopback(addresses.address(address).host)
    except ValueError as error:
        raise TablesError(f"--address: {error}") from None
    return stays


def _name(text: str) -> str:
    try:
        name: str = importlib.import_module("headgate.config.issuers").certificate_name(text)
    except ValueError as error:
        raise TablesError(f"--client: {error}") from None
    return name
