"""`headgate serve bridge`."""

import importlib
import os
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import state_option


@click.command("bridge")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def command(state: Path, lifeline: bool) -> None:
    """Responses over WebSocket: what a connection asks for goes to Envoy as requests. Has no configuration."""
    logs.configure()
    os.chdir(state)
    importlib.import_module("headgate.bridge.service").run(lifeline=lifeline)
