"""Rows in a chdb store of a test's own, and questions about them."""

import asyncio
import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from headgate.usage_questions import Answer, Question
from ledger.rows import Row
from ledger.store.batches import insert, months, next_batch, roll_up
from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.questions import Questions
from ledger.store.schema import REQUESTS, ROLLUPS

# A month begins in the middle of what tests store; the store forgets nothing of it meanwhile.
MONTH_S = int(dt.datetime.now(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())
DAY_S = 86_400


def row(request_id: str, **known: Any) -> Row:
    """A usual request of acme's."""
    values: dict[str, Any] = {name: _NOTHING[kind] for name, kind in Row.__annotations__.items() if kind in _NOTHING}
    values |= {"sign": 1, "requests": 1, "tenant": "acme", "model": "chat", "began_ms": MONTH_S * 1000}
    values |= {"cost": None, "first_byte_ms": None, "first_token_ms": None, "attempts": 1, "status": 200}
    values |= {"request_id": request_id} | known
    values["ended_ms"] = values["ended_ms"] or values["began_ms"] + 900
    return Row(**values)


_NOTHING: dict[Any, Any] = {str: "", int: 0, bool: False}


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """An empty store. A process has one of chdb's at a time."""
    store = Store(None, folder, lambda client: bring_up(client, migrations()))
    try:
        yield store
    finally:
        store.close()


def put(store: Store, rows: Iterable[Row]) -> None:
    """As the writer does it: a batch of each month."""
    with store.client() as client:
        for batch in months(rows):
            number, times = next_batch(client, 0), [row.began_ms for row in batch]
            insert(client, batch, "gateway", number)
            roll_up(client, (min(times), max(times)), "gateway", number)


def empty(store: Store) -> None:
    """All rows go."""
    with store.client() as client:
        for table in (REQUESTS, *ROLLUPS):
            client.command(f"TRUNCATE TABLE {table}")


async def answers(questions: Questions, line: bytes) -> list[Answer]:
    """All that is answered."""
    lines = b"".join([piece async for piece in questions.answer(line)])
    assert lines.endswith(b"\n")
    return [msgspec.json.decode(one, type=Answer) for one in lines.splitlines()]  # type: ignore[arg-type]


def ask(store: Store, question: Question, now_s: float = MONTH_S + 20 * DAY_S) -> list[Answer]:
    """What a part that was just started answers."""
    questions = Questions(store, clock=lambda: now_s)
    try:
        return asyncio.run(answers(questions, msgspec.json.encode(question)))
    finally:
        questions.close()
