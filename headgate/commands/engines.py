"""`headgate engines`."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import aiohttp
import click

from headgate import contract
from headgate.commands.options import state_option

T = TypeVar("T")
_COLUMNS = ("replica", "address", "serves", "state", "running", "waiting", "restarts", "uptime", "detail")
_WHOLE = ("replica", "address", "state")


@click.group("engines")
def command() -> None:
    """See the engines of a running gateway, and restart those that it runs."""


@command.command("list")
@state_option
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def list_engines(state: Path, as_json: bool) -> None:
    """List the engines of gateway.yaml with their replicas."""
    found = _asked(state, _get("/engines"))
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print_table(found)


@command.command("restart")
@click.argument("engine")
@state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per step.")
def restart(engine: str, state: Path, as_json: bool) -> None:
    """Give each replica of ENGINE a new process, one after the other: each finishes its requests first.

    Exit 1 if one does not come up: the others go on as they are.
    """
    last = _asked(state, _follow(f"/engines/{quote(engine, safe='')}/restart", as_json))
    if not last.get("done"):
        _fail(str(last.get("reason", "the gateway ended before the restart did")))


def _asked(state: Path, asking: Coroutine[Any, Any, T]) -> T:
    try:
        os.chdir(state)  # a Unix socket's path ends at 107 bytes
        return asyncio.run(asking)
    except (FileNotFoundError, aiohttp.ClientConnectorError):
        _fail(f"no gateway runs on {state}: give its --state")
    except (OSError, aiohttp.ClientError) as error:
        _fail(f"no answer from the gateway on {state}: {error}")


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.UnixConnector(str(contract.CONTROL_SOCKET))
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))


async def _get(path: str) -> Any:
    async with _session() as session, session.get(f"http://supervisor{path}") as reply:
        return await reply.json()


async def _follow(path: str, as_json: bool) -> dict[str, Any]:
    """Show each step; the last one."""
    last: dict[str, Any] = {}
    async with _session() as session, session.post(f"http://supervisor{path}") as reply:
        async for line in reply.content:
            last = json.loads(line)
            if as_json:
                click.echo(json.dumps(last))
            elif last.get("state") == "restarted":
                click.echo(f"{last['part']:<20} restarted {last['detail']}")
    return last


def _print_table(engines: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column in _WHOLE)
    for engine in engines:
        for replica in engine["replicas"] or [{}]:
            table.add_row(*_cells(engine, replica))
    Console().print(table)


def _cells(engine: dict[str, Any], replica: dict[str, Any]) -> tuple[str, ...]:
    uptime = replica.get("uptime_s")
    figures = [replica.get(name) for name in ("running", "waiting", "restarts")]
    return (
        replica.get("part") or engine["name"],
        replica.get("address", ""),
        engine["serves"],
        replica.get("state", "none yet"),
        *("" if figure is None else str(figure) for figure in figures),
        "" if uptime is None else f"{uptime:.0f} s",
        replica.get("detail") or "",
    )


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
