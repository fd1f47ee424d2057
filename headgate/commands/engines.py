"""`headgate engines`."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import aiohttp
import click

from headgate import contract
from headgate.admin_client.words import plain
from headgate.commands.options import state_option

T = TypeVar("T")
_FIGURES = ("running", "waiting", "restarts")
_COLUMNS = ("replica", "address", "state", *_FIGURES, "uptime")


@click.group("engines")
def command() -> None:
    """See the engines of a running gateway, and restart those that it runs."""


@command.command("list")
@state_option
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def list_engines(state: Path, as_json: bool) -> None:
    """List the engines of gateway.yaml with their replicas, and what is wrong with those that are not ready."""
    found = _asked(state, lambda: _get("/engines"))
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)


@command.command("restart")
@click.argument("engine")
@state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per step.")
def restart(engine: str, state: Path, as_json: bool) -> None:
    """Give each replica of ENGINE a new process, one after the other: each finishes its requests first.

    Exit 1 if one does not come up: the others go on as they are.
    """
    path = f"/engines/{quote(engine, safe='')}/restart"
    last = _asked(state, lambda: _follow(path, as_json))
    if not last.get("done"):
        _fail(str(last.get("reason", "the gateway ended before the restart did")))


def _asked(state: Path, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        os.chdir(state)  # a Unix socket's path ends at 107 bytes
        return asyncio.run(ask())
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


def _print(engines: list[dict[str, Any]]) -> None:
    from headgate.commands.table import print_table

    rows = [(engine, replica) for engine in engines for replica in engine["replicas"] or [{}]]
    print_table([_cells(*row) for row in rows], _COLUMNS, (*_FIGURES, "uptime"))
    for engine, replica in rows:
        if replica.get("detail"):
            click.echo(f"\n{_name(engine, replica)}: {plain(replica['detail'])}")
            for line in replica["said"]:
                click.echo(f"  {plain(line)}")


def _name(engine: dict[str, Any], replica: dict[str, Any]) -> str:
    return str(replica.get("part") or engine["name"])


def _cells(engine: dict[str, Any], replica: dict[str, Any]) -> tuple[str, ...]:
    uptime = replica.get("uptime_s")
    figures = [replica.get(name) for name in _FIGURES]
    return (
        _name(engine, replica),
        replica.get("address", ""),
        replica.get("state", "none yet"),
        *("" if figure is None else str(figure) for figure in figures),
        "" if uptime is None else f"{uptime:.0f} s",
    )


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
