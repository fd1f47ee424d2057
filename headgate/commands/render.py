"""`headgate render`."""

import json
import os
import sys
from pathlib import Path

import click
import yaml

from headgate.commands.options import config_argument
from headgate.config.check import check
from headgate.edge.render import EdgeSettings, render_inline


class _Readable(yaml.SafeDumper):
    """Prints texts of several lines, the Lua filters, as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Readable.add_representer(str, _text)


@click.command("render")
@config_argument
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Filter workers.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of YAML.")
def command(file: Path, workers: int, as_json: bool) -> None:
    """Print all of Envoy's configuration for FILE as one document, credentials left out.

    `envoy --mode validate -c` accepts it. Under `headgate up`, clusters, routes and credentials are files of
    their own, which Envoy watches.
    """
    checked = check(file, os.environ)
    if checked.gateway is None:
        for problem in checked.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)
    settings = EdgeSettings(workers=workers, spool="/dev/stdout", generation=1)
    document = render_inline(checked.gateway, settings)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(yaml.dump(document, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True), nl=False)
