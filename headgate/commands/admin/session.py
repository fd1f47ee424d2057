"""How a command reaches the admin API: options for where and with which key, and failures as one line on stderr.

httpx2 is loaded when such a command runs, not for its help.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from headgate.admin_client.failures import AdminError
from headgate.admin_client.place import find_place
from headgate.commands.admin.shown import Shown
from headgate.commands.options import state_option

if TYPE_CHECKING:
    from headgate.admin_client.client import AdminClient

_OPTIONS = (
    click.option(
        "--url", envvar="HEADGATE_URL", help="The gateway's address.  [default: the one that runs on --state]"
    ),
    state_option,
    click.option(
        "--key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="HEADGATE_ADMIN_KEY_FILE",
        help="A file with the key, or a token.  [default: HEADGATE_ADMIN_KEY holds it]",
    ),
    click.option(
        "--ca",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        envvar="HEADGATE_CA",
        help="Certificates that the gateway's is checked by.  [default: the system's]",
    ),
    click.option("--json", "as_json", is_flag=True, help="The API's answer as one JSON document."),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Where the operator wants to ask, and with which key."""

    url: str | None
    state: Path
    key_file: Path | None
    ca: Path | None

    @contextmanager
    def connected(self) -> Iterator["AdminClient"]:
        """A client for it. Raises AdminError."""
        place = find_place(self.url, self.state, self.key_file, self.ca, os.environ)
        if place.in_clear:
            note(f"warning: {place.url} is not https: the key can be read on the way")
        client: AdminClient = importlib.import_module("headgate.admin_client.client").AdminClient(place)
        try:
            yield client
        finally:
            client.close()


def api_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the API; it gets `wish`, and `shown` by which it says what it has to say."""

    @functools.wraps(command)
    def run(
        url: str | None, state: Path, key_file: Path | None, ca: Path | None, as_json: bool, **arguments: Any
    ) -> None:
        try:
            command(wish=Wish(url, state, key_file, ca), shown=Shown(as_json), **arguments)
        except AdminError as error:
            fail(str(error))

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def over_the_api(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that always asks: it gets `client` in the place of `wish`."""

    @functools.wraps(command)
    def run(wish: Wish, **arguments: Any) -> None:
        with wish.connected() as client:
            command(client=client, **arguments)

    return api_options(run)


def fail(text: str) -> NoReturn:
    """Say why, and end with status 1."""
    click.echo(text, err=True)
    sys.exit(1)


def note(text: str) -> None:
    """Something for people alone: standard output is for what was asked."""
    click.echo(text, err=True)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal `--yes` has to say so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Give --yes: there is no terminal to ask on")
    click.confirm(question, abort=True, err=True)


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
