"""`headgate up`."""

import asyncio
import sys
from pathlib import Path

import click

from headgate import logs
from headgate.commands.options import DurationType, state_option
from headgate.supervise.up import UpOptions, up


@click.command("up")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="HEADGATE_CONFIG",
    help="The gateway.yaml. Without it: a demo tenant on a simulated engine.",
)
@state_option
@click.option("--workers", type=click.IntRange(1, 256), help="Filter workers.  [default: one per core]")
@click.option(
    "--drain-timeout",
    type=DurationType(),
    default="30s",
    show_default=True,
    help="How long running streams may go on after SIGTERM or Ctrl-C.",
)
@click.option("--http", help="Quickstart only: listen here instead of 127.0.0.1:8080.")
@click.option("--admin", help="Quickstart only: health and readiness here instead of 127.0.0.1:9902.")
def command(
    config: Path | None, state: Path, workers: int | None, drain_timeout: float, http: str | None, admin: str | None
) -> None:
    """Start Envoy, the filter workers and the embedded services; supervise them until SIGTERM or Ctrl-C."""
    logs.configure()
    options = UpOptions(config=config, state=state, workers=workers, drain_s=drain_timeout, http=http, admin=admin)
    sys.exit(asyncio.run(up(options)))
