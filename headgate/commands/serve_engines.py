"""`headgate serve engines`."""

import importlib
import os
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import state_option


@click.command("engines")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def command(state: Path, lifeline: bool) -> None:
    """The watch of engines: how each replica is, how busy, what it serves. The counters' URL comes in
    HEADGATE_COUNTERS.
    """
    logs.configure()
    os.chdir(state)
    importlib.import_module("engines.service").run(lifeline=lifeline)
