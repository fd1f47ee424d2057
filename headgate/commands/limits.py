"""`headgate limits`."""

import datetime as dt
import json
import os
import socket
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import click

from headgate import contract
from headgate.commands import limits_set
from headgate.commands.nobody import nobody_answers
from headgate.commands.options import state_option
from headgate.config.wording import nearest, quoted

_TIMEOUT_S = 15


@click.group("limits")
def command() -> None:
    """Show how much of its limits a tenant has used, or of its budget a provider; set limits."""


command.add_command(limits_set.list_)
command.add_command(limits_set.set_)
command.add_command(limits_set.unset)


@command.command("show")
@click.argument("tenant", required=False)
@state_option
@click.option("--provider", help="The budget of this provider and its keys, in the place of a tenant's limits.")
@click.option("--key", help="Only the limits that this key has to keep: its name in gateway.yaml, or its id.")
@click.option("--model", help="Only the limits that requests for this model have to keep.")
@click.option("--user", help="The limits of this user too, the text of requests' `user`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def show(
    tenant: str | None,
    state: Path,
    provider: str | None,
    key: str | None,
    model: str | None,
    user: str | None,
    as_json: bool,
) -> None:
    """Show each limit of TENANT, or of a provider's budget: what is used, reserved and left, and when it resets.

    Limits by key or by model are shown for each key and model, limits by user with --user alone.
    """
    if (tenant is None) == (provider is None):
        raise click.UsageError("give either a TENANT or --provider")
    if provider is not None and (key, model, user) != (None, None, None):
        raise click.UsageError("--key, --model and --user are for a tenant's limits")
    asked = {"tenant": tenant, "key": key, "model": model, "user": user}
    answer = _ask(state, asked if provider is None else {"provider": provider})
    if as_json:
        click.echo(json.dumps(answer))
    else:
        print_usage(answer, user)


def _ask(state: Path, question: Mapping[str, str | None]) -> dict[str, Any]:
    """The ledger's answer, unless it is that there is none."""
    try:
        os.chdir(state)  # a Unix socket's path ends at 107 bytes
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_TIMEOUT_S)
            client.connect(str(contract.LEDGER_QUESTIONS))
            client.sendall(json.dumps(question).encode() + b"\n")
            with client.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        _fail(nobody_answers(state, "the ledger"))
    except OSError as error:
        _fail(f"no answer from the gateway on {state}: {error}")
    if not line.endswith(b"\n"):
        _fail(f"no answer from the gateway on {state}: its ledger ended meanwhile")
    answer: dict[str, Any] = json.loads(line)
    if "unknown" in answer:
        what, name = answer["unknown"], answer["name"]
        _fail(f"unknown {what} {quoted(name)}{nearest(name, answer['known'])}")
    if "error" in answer:
        _fail(answer["error"])
    return answer


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)


def print_usage(answer: dict[str, Any], user: str | None) -> None:
    """The table of the ledger's answer, or the API's."""
    more = "limits by user: name one with --user" if answer["by_user"] else ""
    if not answer["limits"]:
        click.echo(f"{answer['tenant']}: {more or 'no limits'}")
        return
    from rich.console import Console
    from rich.table import Table

    # In a file or a pipe rich would cut the table at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False)
    for column in ("limit", "of", "used", "reserved", "left", "up to", "resets", ""):
        numbers = column in ("used", "reserved", "left", "up to")
        table.add_column(column, justify="right" if numbers else "left")
    for row in answer["limits"]:
        table.add_row(*_cells(row, user, "provider" if "/" in answer["tenant"] else "tenant"))
    console.print(table)
    if not answer["complete"]:
        console.print("what was used by day and month is being counted anew: figures are too low until then")
    if more:
        console.print(more)
    if answer["cut"]:
        console.print(f"only the first {len(answer['limits'])}: name a --key or a --model")


def _cells(row: dict[str, Any], user: str | None, whole: str) -> tuple[str, ...]:
    unit = row["unit"]
    return (
        row["limit"],
        _owner(row["scope"], user, whole),
        _amount(row["used"], unit),
        _amount(row["reserved"], unit),
        "" if row["left"] is None else _amount(row["left"], unit),
        _most(row),
        _reset(row),
        _notes(row),
    )


def _owner(scope: dict[str, Any], user: str | None, whole: str) -> str:
    words = [
        f"{what} {quoted(scope[what]) if what == 'key' else scope[what]}"
        for what in ("key", "model")
        if what in scope
    ]
    if "user" in scope:
        words.append(f"user {quoted(user or '')}")
    if "models" in scope:
        words.append(f"for {', '.join(scope['models'])}")
    return ", ".join(words) or whole


def _most(row: dict[str, Any]) -> str:
    """The cap, and what may be used on top of it."""
    unit = row["unit"]
    if row["cap"] is None:
        return ""
    text = _amount(row["cap"], unit)
    return f"{text} + {_amount(row['burst'], unit)}" if row["burst"] not in (0, "0") else text


def _notes(row: dict[str, Any]) -> str:
    unit, notes, overage = row["unit"], [], row["overage"]
    if account := row.get("account"):
        return _account(account)
    if row["soft"] is not None:
        passed = Decimal(row["used"]) > Decimal(row["soft"])
        notes.append(f"{'over' if passed else 'warns at'} {_amount(row['soft'], unit)}")
    if row["ceiling"] is not None:
        notes.append(f"goes on to {_amount(row['ceiling'], unit)}")
    if overage:
        cost = f" for {_amount(overage['cost_usd'], 'usd')}" if overage["cost_usd"] is not None else ""
        notes.append(f"{_amount(overage['used'], unit)} above the limit{cost}")
    return ", ".join(notes)


def _account(account: dict[str, Any]) -> str:
    """`balance $4.20, low below $5.00, floor -$10.00`."""
    if account["since"] is None:
        return "no account"
    notes = [f"balance {_amount(account['balance'], 'usd')}"]
    if account["low"] is not None:
        is_low = Decimal(account["balance"]) < Decimal(account["low"])
        notes.append(f"{'below' if is_low else 'warns below'} {_amount(account['low'], 'usd')}")
    if Decimal(account["floor"]):
        notes.append(f"floor {_amount(account['floor'], 'usd')}")
    return ", ".join(notes)


def _amount(value: int | str, unit: str) -> str:
    """`1,234,567`; money as `$12.50`, with all the digits that it has."""
    if unit != "usd":
        return f"{value:,}"
    money = Decimal(value)
    whole, _, cents = f"{abs(money):,f}".partition(".")
    return f"{'-' if money < 0 else ''}${whole}.{cents.ljust(2, '0')}"


def _reset(row: dict[str, Any]) -> str:
    """`in 3 h 12 m (2026-12-01 00:00 UTC)`."""
    if row["resets_in_ms"] is None:
        return ""
    moment = dt.datetime.fromisoformat(row["resets_at"])
    shown = moment.strftime("%Y-%m-%d %H:%M" if row["resets_in_ms"] >= 3_600_000 else "%H:%M:%S")
    return f"in {_duration(-(-row['resets_in_ms'] // 1000))} ({shown} UTC)"


def _duration(seconds: int) -> str:
    """The greatest unit that says something, and the next."""
    parts: list[tuple[int, str]] = []
    for name, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"
