"""`headgate serve`: one part in this process. What a part does not need is not imported for it."""

import importlib

import click

_ALONE = {
    "bridge": "headgate.commands.serve_bridge",
    "control": "headgate.commands.serve_control",
    "engine": "headgate.commands.serve_engine",
    "engines": "headgate.commands.serve_engines",
    "events": "headgate.commands.serve_events",
    "usage": "headgate.commands.serve_usage",
}
_OTHERS = "headgate.commands.serve_parts"


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        others: click.Group = importlib.import_module(_OTHERS).command
        return sorted([*_ALONE, *others.list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ALONE:
            alone: click.Command = importlib.import_module(_ALONE[cmd_name]).command
            return alone
        others: click.Group = importlib.import_module(_OTHERS).command
        return others.get_command(ctx, cmd_name)


@click.command("serve", cls=_Lazy)
def command() -> None:
    """Run one part alone, as containers do."""
