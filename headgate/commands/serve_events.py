"""`headgate serve events`."""

import importlib
import os
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import state_option


@click.command("events")
@state_option
@click.option("--lifeline", is_flag=True, help="End when standard input does.")
def command(state: Path, lifeline: bool) -> None:
    """Usage events to Kafka, from the ledger's journal. The brokers' URL comes in HEADGATE_EVENTS."""
    logs.configure()
    os.chdir(state)
    importlib.import_module("ledger.events.service").run(lifeline=lifeline)
