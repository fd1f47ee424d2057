"""The command line: one module per command under `headgate.commands`, imported when it is called.

Exit codes: 0 done, 1 refused or failed with the reason on stderr, 2 the command line itself is wrong.
"""

import gc
import importlib
from typing import Any

import click

from headgate import __version__

_COMMANDS = {
    "adapters": "Administer LoRA adapters: which version of each is live.",
    "audit": "Read, verify and export the record of what was administered.",
    "bench": "Measure the gateway against plain Envoy, in one run.",
    "check": "Report every problem of a gateway.yaml.",
    "credits": "Book credits for tenants, and see what is left of them.",
    "deletions": "See how far the deletions of tenants are.",
    "engines": "See engines, and restart those that the gateway runs.",
    "invoices": "Bill tenants for a month, and see what they were billed.",
    "keys": "Make virtual keys and administer them.",
    "limits": "Show how much of its limits a tenant has used; set limits.",
    "members": "Say which people are a tenant's, and in which role.",
    "models": "See the models of gateway.yaml.",
    "plans": "Administer plans: limits that several tenants have.",
    "providers": "See providers, and store their credentials.",
    "render": "Print the Envoy configuration made from a gateway.yaml.",
    "restart": "Give every part a new process without failing a request.",
    "serve": "Run one part alone, as containers do.",
    "status": "Show what runs, part by part.",
    "tenants": "Administer tenants and the models that they may use.",
    "up": "Start everything and supervise it.",
    "usage": "Show what was used, and what it costs.",
    "users": "Administer people, known by an OpenID provider.",
    "whoami": "Show whom the gateway takes a key or token for.",
}


class _Lazy(click.Group):
    """Loads a command's module when it is needed: `serve` must not pay for what `render` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        gc.disable()  # modules leave next to nothing behind; looking for it took a fifth of the time
        try:
            command: click.Command = importlib.import_module(f"headgate.commands.{cmd_name}").command
        finally:
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="headgate")
def main(**_options: Any) -> None:
    """Headgate: a self-hosted LLM gateway. Start with `headgate up`."""
