"""`headgate bench`. The bench is started by module name: no part of the gateway depends on it."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from headgate.commands.options import DurationType


@click.command("bench")
@click.option("--quick", is_flag=True, help="Short and few rounds: a look, not a measurement.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Rounds of all ways in turn.  [default: 7 and 3]")
@click.option("--interval", type=DurationType(), help="Time between the chunks of a stream.  [default: 10ms]")
@click.option(
    "--translations", is_flag=True, help="Chunks of all that is translated, not of one provider's API alone."
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="`budgets` or a scenario; may be repeated.  [default: all]"
)
@click.option(
    "--against",
    multiple=True,
    metavar="NAME",
    help="litellm or portkey; may be repeated.  [default: those installed]",
)
@click.option("--alone", is_flag=True, help="No gateway but ours and plain Envoy.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the run there too, as JSON and as a picture.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every sample, instead of the tables.")
def command(
    quick: bool,
    rounds: int | None,
    interval: float | None,
    translations: bool,
    only: tuple[str, ...],
    against: tuple[str, ...],
    alone: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Measure the gateway against plain Envoy and other gateways, in one run on this machine.

    Starts each with an upstream and a client of its own, all on loopback, and ends them again. Exit code 1 says that
    something broke or was answered wrongly; a figure over its budget is a word in the table.
    """
    bench = importlib.import_module("bench.run")
    options = _options(quick, rounds, interval, translations, only)
    options = dataclasses.replace(options, against=() if alone else _others(against))
    failure: type[Exception] = importlib.import_module("bench.failure").Failure
    try:
        report = _with_progress(bench, options)
        if save:
            importlib.import_module("bench.saved").save(report, save, sys.argv[1:])
    except failure as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        importlib.import_module("bench.table").print_report(report, _console())
    sys.exit(1 if report.errors else 0)


def _options(
    quick: bool, rounds: int | None, interval: float | None, translations: bool, only: tuple[str, ...]
) -> Any:
    known = importlib.import_module("bench.options")
    options = known.QUICK if quick else known.Options()
    if unknown := sorted(set(only) - options.only):
        raise click.UsageError(f"--only {unknown[0]} is none of {', '.join(sorted(options.only))}")
    changes: dict[str, Any] = {"rounds": rounds, "interval_s": interval, "translations": translations}
    if rounds:
        changes["plan"] = dataclasses.replace(options.plan, rounds=rounds)
    if only:
        changes["only"] = frozenset(only)
    return dataclasses.replace(options, **{name: value for name, value in changes.items() if value is not None})


def _others(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The gateways to compare with; those asked for have to be there."""
    peers = importlib.import_module("bench.peers")
    there = peers.installed()
    for name in wanted:
        if name not in peers.PEERS:
            raise click.UsageError(f"--against {name} is none of {', '.join(peers.PEERS)}")
        if name not in there:
            raise click.UsageError(f"{name} is not installed: make setup-peers")
    return wanted or tuple(there)


def _console() -> Any:
    from rich.console import Console

    # In a file or a pipe rich would cut the table at 80 columns.
    return Console(width=None if sys.stdout.isatty() else 150)


def _with_progress(bench: Any, options: Any) -> Any:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        return bench.run(options, lambda what, done: bar.update(task, description=what, completed=done))
