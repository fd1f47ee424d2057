"""Options that several commands share."""

import importlib
import os
from pathlib import Path
from typing import Any

import click


class DurationType(click.ParamType[float]):
    """A duration as gateway.yaml writes it (`10s`, `5m`), in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parses; a number is already seconds."""
        if isinstance(value, float):
            return value
        try:
            # Imported where it is needed: a part without durations does without pydantic.
            seconds: float = importlib.import_module("headgate.config.values").duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return seconds


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
