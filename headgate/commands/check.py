"""`headgate check`."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from headgate.commands.options import config_argument
from headgate.config.check import Checked, Problem, check
from headgate.config.model import Gateway


@click.command("check")
@config_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.option("--vault", "ask_vault", is_flag=True, help="Also read what FILE refers to in Vault.")
def command(file: Path, as_json: bool, ask_vault: bool) -> None:
    """Report every problem of FILE as `file:line: path: problem`; exit 1 if there is one."""
    checked = check(file, os.environ)
    if ask_vault:
        checked = _with_vault(file, checked)
    if as_json:
        found = {"problems": checked.problems, "warnings": checked.warnings}
        click.echo(json.dumps({kind: [asdict(one) for one in several] for kind, several in found.items()}))
    else:
        for problem in checked.problems:
            click.echo(str(problem), err=True)
        for warning in checked.warnings:
            click.echo(f"{warning} (warning)", err=True)
        if checked.gateway:
            click.echo(f"{file}: ok: {_counted(checked.gateway)}")
    sys.exit(1 if checked.problems else 0)


def _counted(gateway: Gateway) -> str:
    engines = f"{len(gateway.engines)} engines, " if gateway.engines else ""
    providers = len(gateway.providers.keys() - gateway.engines.keys())
    return f"{providers} providers, {engines}{len(gateway.models)} models, {len(gateway.tenants)} tenants"


def _with_vault(file: Path, checked: Checked) -> Checked:
    """What Vault does not have is a problem too."""
    if checked.gateway is None:
        return checked
    from headgate.commands.check_vault import unread  # only who asks Vault loads what asks it

    problems = [Problem(str(file), 0, key, text) for key, text in unread(checked.gateway, file.parent).items()]
    return Checked(None if problems else checked.gateway, problems, checked.warnings)
