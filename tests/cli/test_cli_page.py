"""docs/cli.md names every command, and none that is not there; its options and variables exist."""

import re
from pathlib import Path

import click

from headgate.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def commands(group: click.Group, *path: str) -> dict[tuple[str, ...], click.Command]:
    context = click.Context(group)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        found[*path, name] = command
        if isinstance(command, click.Group):
            found |= commands(command, *path, name)
    return found


COMMANDS = commands(main)


def test_every_command_is_on_the_page() -> None:
    words = set(re.findall(r"[a-z]+", PAGE))
    alone = {path for path in COMMANDS if path[0] == "serve"}  # the parts: docs/operations.md
    assert [path for path in COMMANDS if path not in alone and not set(path) <= words] == []


def test_every_command_in_the_session_is_there() -> None:
    session = re.findall(r"^\$ headgate (.+)$", PAGE, re.MULTILINE)
    assert len(session) >= 5
    for line in session:
        words = tuple(re.findall(r"[a-z]+", line))
        path = words[:2] if words[:2] in COMMANDS else words[:1]
        options = set(re.findall(r"--[a-z-]+", line.partition("|")[0]))
        known = {option for parameter in COMMANDS[path].params for option in parameter.opts}
        assert options <= known, line


def test_every_variable_is_an_options() -> None:
    named = set(re.findall(r"HEADGATE_[A-Z_]+", PAGE)) - {"HEADGATE_ADMIN_KEY"}
    known = {parameter.envvar for command in COMMANDS.values() for parameter in command.params}
    assert named <= known
