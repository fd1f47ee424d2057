"""`headgate serve usage`."""

import importlib
import os
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import state_option


@click.command("usage")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def command(state: Path, lifeline: bool) -> None:
    """The usage store: keeps what the ledger has settled, answers what is asked about it. A ClickHouse's URL comes in
    HEADGATE_USAGE.
    """
    logs.configure()
    os.chdir(state)
    importlib.import_module("ledger.store.service").run(lifeline=lifeline)
