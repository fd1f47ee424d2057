"""`headgate serve engine`: one replica of an engine, for `headgate up`."""

import importlib

import click


@click.command("engine", hidden=True)
def command() -> None:
    """Become a replica of an engine, in the working directory; $HEADGATE_ENGINE says which."""
    importlib.import_module("engines.start").run()
