"""Options that several commands share."""

import os
from pathlib import Path
from typing import Any

import click

from headgate.config.values import duration


class DurationType(click.ParamType[float]):
    """A duration as gateway.yaml writes it (`10s`, `5m`), in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parses; a number is already seconds."""
        if isinstance(value, float):
            return value
        try:
            return duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def default_state() -> Path:
    """`$XDG_STATE_HOME/headgate` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base) / "headgate"


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_state,
    envvar="HEADGATE_STATE",
    show_default="$XDG_STATE_HOME/headgate",
    help="Folder for everything that must survive a restart.",
)

config_argument = click.argument("file", type=click.Path(path_type=Path))
