"""`headgate bench`. The bench is started by module name: no part of the gateway depends on it."""

import dataclasses
import importlib
import json
import sys
from typing import Any

import click

from headgate.commands.options import DurationType


@click.command("bench")
@click.option("--quick", is_flag=True, help="Two short rounds, about half a minute: a look, not a measurement.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Rounds of plain Envoy and gateway in turn.")
@click.option("--interval", type=DurationType(), help="Time between the chunks of a stream.  [default: 10ms]")
@click.option(
    "--translations", is_flag=True, help="Chunks of all that is translated, not of one provider's API alone."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every sample, instead of the table.")
def command(quick: bool, rounds: int | None, interval: float | None, translations: bool, as_json: bool) -> None:
    """Measure the gateway against plain Envoy, in one run on this machine.

    Starts both with an upstream and a client of its own, all on loopback, and ends them again. Exit code 1 says that
    something broke or was answered wrongly; a figure over its budget is a word in the table.
    """
    bench = importlib.import_module("bench.run")
    failure: type[Exception] = importlib.import_module("bench.failure").Failure
    options = bench.QUICK if quick else bench.Options()
    changes: dict[str, Any] = {"rounds": rounds, "interval_s": interval, "translations": translations}
    options = dataclasses.replace(options, **{name: value for name, value in changes.items() if value is not None})
    try:
        report = _with_progress(bench, options)
    except failure as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        importlib.import_module("bench.table").print_report(report, _console())
    sys.exit(1 if report.errors else 0)


def _console() -> Any:
    from rich.console import Console

    # In a file or a pipe rich would cut the table at 80 columns.
    return Console(width=None if sys.stdout.isatty() else 120)


def _with_progress(bench: Any, options: Any) -> Any:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        return bench.run(options, lambda what, done: bar.update(task, description=what, completed=done))
