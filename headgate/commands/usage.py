"""`headgate usage`."""

import asyncio
import datetime as dt
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from headgate import contract
from headgate.commands import usage_focus, usage_written
from headgate.commands.admin.given import Moment
from headgate.commands.admin.progress import spinner
from headgate.commands.nobody import nobody_answers
from headgate.commands.options import state_option
from headgate.commands.usage_asked import grouped, moment_text, period
from headgate.config.wording import quoted
from headgate.usage_client import UsageClient, UsageError
from headgate.usage_questions import MOST_EXPORTED, MOST_SUMS, Export, ExportEnd, SumRow, Sums, SumsAnswer

_MOST_SHOWN = 1_000  # rows of a table
_NO_GATEWAY = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError)

_Told = Callable[[int], None]
_ValuesOf = Callable[[SumRow], dict[str, Any]]


@click.command("usage")
@state_option
@click.option("--tenant", help="Of this tenant alone.  [default: of all]")
@click.option("--month", metavar="YYYY-MM", help="Of this month of UTC's calendar.  [default: this one, until now]")
@click.option("--since", type=Moment(ahead=False), help="From then on: 2027-01-31, or 7d for 7 days ago.")
@click.option("--until", type=Moment(ahead=False), help="Before then.")
@click.option("--by", metavar="WHAT,…", help="A row for each: tenant, model, key, user, …; minute, hour, day, month.")
@click.option("--requests", is_flag=True, help="The requests themselves; with --csv or --json, a line for each.")
@click.option("--csv", "form", flag_value="csv", help="CSV instead of a table.")
@click.option("--json", "form", flag_value="json", help="One JSON object instead of a table.")
@click.option("--focus", "form", flag_value="focus", help="CSV with the columns of FOCUS 1.2, by day.")
@click.option("--issuer", default="Headgate", show_default=True, help="Who bills, in FOCUS.")
def command(
    state: Path,
    tenant: str | None,
    month: str | None,
    since: str | None,
    until: str | None,
    by: str | None,
    requests: bool,
    form: str | None,
    issuer: str,
) -> None:
    """Show what was used and what it costs: price is what tenants pay, cost what providers take.

    Asks the gateway that runs on --state, on its host.
    """
    since_s, until_s = period(month, since, until, dt.datetime.now(dt.UTC))
    dimensions, width = grouped(by)
    if by and (requests or form == "focus"):
        raise click.UsageError("--by groups sums: --requests and --focus have rows of their own")
    if "key_id" in dimensions and "tenant" not in dimensions and tenant is None:
        dimensions = ("tenant", *dimensions)  # each tenant has keys of its own, whatever their names are
    question = Sums(tenant=tenant, since_s=since_s, until_s=until_s, by=dimensions, width=width, limit=MOST_SUMS)
    client = UsageClient(contract.USAGE_SOCKET)
    with _failures(state):
        os.chdir(state)  # a Unix socket's path ends at 107 bytes
        if requests:
            asyncio.run(_requests(client, question, form))
        elif form is None:
            asyncio.run(_table(client, question))
        elif form == "focus":
            asyncio.run(_focus(client, question, issuer))
        else:
            asyncio.run(_sums(client, question, form))


async def _table(client: UsageClient, question: Sums) -> None:
    answer = await client.ask(msgspec.structs.replace(question, limit=_MOST_SHOWN))
    if not answer.rows:
        whose = f" of {quoted(question.tenant)}" if question.tenant else ""
        click.echo(f"no usage{whose} from {moment_text(question.since_s)} to {moment_text(question.until_s)}")
        return
    all_of_it = (await client.ask(msgspec.structs.replace(question, by=(), width=None))).rows
    width = None if sys.stdout.isatty() else 200  # in a file or a pipe rich would cut it at 80
    usage_written.print_table(question, answer.rows, all_of_it[0] if all_of_it else None, width)
    if answer.next is not None:
        click.echo(f"only the first {len(answer.rows)} rows: --csv and --json have all")


async def _sums(client: UsageClient, question: Sums, form: str) -> None:
    out: usage_written.Out = usage_written.JsonOut(sys.stdout, question)
    if form == "csv":
        out = usage_written.CsvOut(sys.stdout, usage_written.sum_columns(question))
    await _write(client, question, out, lambda row: usage_written.sum_values(question, row))


async def _focus(client: UsageClient, question: Sums, issuer: str) -> None:
    asked = msgspec.structs.replace(question, by=usage_focus.BY, width="day")
    out = usage_written.CsvOut(sys.stdout, usage_focus.COLUMNS)
    await _write(client, asked, out, lambda row: usage_focus.focus_values(asked, row, issuer))


async def _write(client: UsageClient, question: Sums, out: usage_written.Out, values_of: _ValuesOf) -> None:
    """All pages. What the first one's store had is what all of them have at least."""
    stored_until_ms: int | None = None
    async for answer in _pages(client, question):
        if stored_until_ms is None:
            stored_until_ms = answer.stored_until_ms
        for row in answer.rows:
            out.write(values_of(row))
    out.end(stored_until_ms or 0)


async def _pages(client: UsageClient, question: Sums) -> AsyncIterator[SumsAnswer]:
    with _progress() as told:
        count = 0
        async with aclosing(client.every_sum(question)) as answers:
            async for answer in answers:
                yield answer
                count += len(answer.rows)
                told(count)


async def _requests(client: UsageClient, question: Sums, form: str | None) -> None:
    if form not in ("csv", "json"):
        raise click.UsageError("--requests: give --csv or --json")
    asked = Export(tenant=question.tenant, since_s=question.since_s, until_s=question.until_s, limit=MOST_EXPORTED)
    out: usage_written.Out = usage_written.LinesOut(sys.stdout)
    if form == "csv":
        out = usage_written.CsvOut(sys.stdout, usage_written.REQUEST_COLUMNS)
    with _progress() as told:
        count = 0
        while True:
            async with aclosing(client.export(asked)) as rows:
                async for row in rows:
                    if isinstance(row, ExportEnd):
                        after = row.next
                        break
                    out.write(usage_written.request_values(row))
                    count += 1
                    if not count % 1_000:
                        told(count)
            if after is None:
                out.end(0)
                return
            asked = msgspec.structs.replace(asked, after=after)


@contextmanager
def _progress() -> Iterator[_Told]:
    """How many rows there are; for people, whose terminal has nothing else to show."""
    if sys.stdout.isatty():
        yield lambda _count: None
        return
    with spinner("asking the usage store") as tell:
        yield lambda count: tell(f"{count:,} rows")


@contextmanager
def _failures(state: Path) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if isinstance(error.__cause__, _NO_GATEWAY):
            _fail(nobody_answers(state, "the usage store"))
        _fail(str(error))
    except (FileNotFoundError, NotADirectoryError):
        _fail(f"no gateway runs on {state}: give its --state")


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
