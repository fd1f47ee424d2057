"""`headgate check`."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from headgate.commands.options import config_argument
from headgate.config.check import check


@click.command("check")
@config_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(file: Path, as_json: bool) -> None:
    """Report every problem of FILE as `file:line: path: problem`; exit 1 if there is one."""
    checked = check(file, os.environ)
    if as_json:
        found = {"problems": checked.problems, "warnings": checked.warnings}
        click.echo(json.dumps({kind: [asdict(one) for one in several] for kind, several in found.items()}))
    else:
        for problem in checked.problems:
            click.echo(str(problem), err=True)
        for warning in checked.warnings:
            click.echo(f"{warning} (warning)", err=True)
        if checked.gateway:
            gateway = checked.gateway
            click.echo(
                f"{file}: ok: {len(gateway.providers)} providers, {len(gateway.models)} models, "
                f"{len(gateway.tenants)} tenants"
            )
    sys.exit(1 if checked.problems else 0)
