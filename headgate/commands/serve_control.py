"""`headgate serve control`."""

import importlib
import os
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import state_option


@click.command("control")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def command(state: Path, lifeline: bool) -> None:
    """The admin API. PostgreSQL's URL comes in HEADGATE_DATABASE, the counters' in HEADGATE_COUNTERS."""
    logs.configure()
    os.chdir(state)
    importlib.import_module("control.service").run(lifeline=lifeline)
