"""What the usage store has of a month, page by page; and how far this host's usage is stored.

Blocks: to be called in a thread. Raises UsageError (headgate/usage_client.py).
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from control.invoices.document import charged_lines
from control.invoices.months import DAY_S, Month, Period
from control.invoices.overage import Overage, overage_of, priced_limits, question_of
from control.invoices.tenants import Customer
from headgate.usage_client import UsageClient
from headgate.usage_questions import MOST_SUMS, Marks, MarksAnswer, SumRow, Sums, SumsAnswer

Ask = Callable[[Sums], SumsAnswer]
AskMarks = Callable[[Marks], MarksAnswer]


def asking(path: Path) -> Ask:
    """Asks the store's part of this host, by its socket."""
    client = UsageClient(path)
    return lambda question: asyncio.run(client.ask(question))


def asking_marks(path: Path) -> AskMarks:
    """Likewise, how far gateways have stored."""
    client = UsageClient(path)
    return lambda question: asyncio.run(client.marks(question))


def stored_until(ask: Ask, period: Period) -> dt.datetime:
    """Up to when this host's usage is stored."""
    question = Sums(tenant=None, since_s=period.start_s, until_s=period.end_s, limit=1)
    return _moment(ask(question).stored_until_ms)


def tenants_with_usage(ask: Ask, month: Month) -> tuple[str, ...]:
    """By name; those that nobody is ("") left out."""
    question = Sums(tenant=None, since_s=month.start_s, until_s=month.end_s, by=("tenant",), limit=MOST_SUMS)
    return tuple(sorted({row.group["tenant"] for row in _rows(ask, question)} - {""}))


def lines_of(ask: Ask, tenant: str, month: Month) -> tuple[SumRow, ...]:
    """A tenant's lines."""
    question = Sums(
        tenant=tenant,
        since_s=month.start_s,
        until_s=month.end_s,
        by=("model", "surface", "unit"),
        limit=MOST_SUMS,
    )
    return charged_lines(_rows(ask, question))


def daily_use(ask: Ask, tenant: str, since_day: int, last_day: int) -> dict[int, int]:
    """What a tenant's requests of each day were charged, in nano-USD; by days since 1970, that have some."""
    question = Sums(
        tenant=tenant,
        since_s=since_day * DAY_S,
        until_s=(last_day + 1) * DAY_S,
        width="day",
        limit=MOST_SUMS,
    )
    return {row.start_s // DAY_S: row.price_nano for row in _rows(ask, question) if row.price_nano}


def overages_of(ask: Ask, month: Month, customer: Customer) -> list[Overage]:
    """What a tenant has used above limits with a price."""
    found: list[Overage] = []
    for limit in priced_limits(customer.limits):
        question = question_of(limit, customer.tenant, month)
        if question is None:
            continue
        rows = _rows(ask, msgspec.structs.replace(question, limit=MOST_SUMS))
        over = overage_of(limit, month, rows, customer.base_models)
        found += [over] if over else []
    return found


def _rows(ask: Ask, question: Sums) -> Iterator[SumRow]:
    while True:
        answer = ask(question)
        yield from answer.rows
        if answer.next is None:
            return
        question = msgspec.structs.replace(question, after=answer.next)


def _moment(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
