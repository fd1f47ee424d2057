"""`headgate restart`."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click

from headgate import contract
from headgate.commands.options import DurationType, state_option

Show = Callable[[dict[str, Any]], None]


@click.command("restart")
@state_option
@click.option(
    "--drain-timeout",
    type=DurationType(),
    default="10m",
    show_default=True,
    help="How long streams of the Envoy that is replaced may go on.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per step.")
def command(state: Path, drain_timeout: float, as_json: bool) -> None:
    """Give every part a new process, one after the other, without failing a request.

    Exit 1 if one does not come up: what ran before goes on. The supervisor itself and the counters keep running.
    """
    try:
        last = asyncio.run(_follow(state, drain_timeout, _json_lines() if as_json else _progress()))
    except aiohttp.ClientConnectorError:
        _fail(f"no gateway runs on {state}: give its --state")
    except (OSError, aiohttp.ClientError) as error:
        _fail(f"no answer from the gateway on {state}: {error}")
    if not last.get("done"):
        _fail(str(last.get("reason", "the gateway ended before the restart did")))


def _fail(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(1)


async def _follow(state: Path, drain_s: float, shown: AbstractContextManager[Show]) -> dict[str, Any]:
    """Ask for it, show each step; the last one."""
    last: dict[str, Any] = {}
    os.chdir(state)  # a Unix socket's path ends at 107 bytes
    with shown as show:
        async for last in _steps(drain_s):
            show(last)
    return last


async def _steps(drain_s: float) -> AsyncIterator[dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.UnixConnector(str(contract.CONTROL_SOCKET))
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.post("http://supervisor/restart", params={"drain_s": str(drain_s)}) as reply,
    ):
        try:
            async for line in reply.content:
                yield json.loads(line)
        except aiohttp.ClientPayloadError:
            return  # it was killed: what it said last is not that it is done


@contextmanager
def _json_lines() -> Iterator[Show]:
    yield lambda step: click.echo(json.dumps(step))


@contextmanager
def _progress() -> Iterator[Show]:
    """A line for each part that is done, and on a terminal what is being done."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        now = progress.add_task("asking the gateway", total=None)

        def show(step: dict[str, Any]) -> None:
            part, state = step.get("part"), step.get("state")
            if state == "starting":
                progress.update(now, description=f"{part} restarts")
            elif part:
                progress.console.print(f"{part:<15}{state:<12}{step['detail'] or ''}", highlight=False)

        yield show
