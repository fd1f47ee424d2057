"""A usage store of a list of rows, for tests: it answers the questions about sums as the real one is meant to.

`RowStore` is asked in this process, `serving` puts one on a socket. It takes its time by adding up every row.
"""

import asyncio
import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from headgate.usage_questions import (
    Answer,
    Dimension,
    Export,
    Failure,
    Marks,
    MarksAnswer,
    SumRow,
    Sums,
    SumsAnswer,
)
from ledger.rows import Row

UNTIL_MS = 1_893_456_000_000  # what is said of how fresh it is
_NO_MARKS = MarksAnswer(gateway="here", own=None, stored=[])
_COUNTS = (
    *("requests", "prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens"),
    *("reasoning_tokens", "units", "price_nano"),
)
_USUAL: dict[str, Any] = {
    "request_id": "r",
    "sign": 1,
    "tenant": "acme",
    "key_id": "ci",
    "user": "",
    "project": "",
    "surface": "chat",
    "model": "chat",
    "provider": "local",
    "upstream_model": "llama",
    "provider_key": "",
    "variant": "",
    "status": 200,
    "flags": "",
    "attempts": 1,
    "streamed": False,
    "requests": 1,
    "prompt_tokens": 0,
    "cached_tokens": 0,
    "cache_write_tokens": 0,
    "completion_tokens": 0,
    "reasoning_tokens": 0,
    "unit": "",
    "units": 0,
    "estimated": False,
    "reason": "",
    "price_nano": 0,
    "cost": None,
    "bytes_in": 0,
    "bytes_out": 0,
    "content_events": 0,
    "first_byte_ms": None,
    "first_token_ms": None,
    "duration_ms": 1,
    "trace_id": "",
    "price_generation": 1,
    "kept_until_s": 0,
}


def row(at_s: float, **more: Any) -> Row:
    """One request that began then; of acme's key ci, if nothing else is said."""
    at_ms = round(at_s * 1000)
    return Row(**{**_USUAL, "began_ms": at_ms, "ended_ms": at_ms, **more})


class RowStore:
    """`rows` may change. `questions` is what it was asked. `failure`: what it says instead of answers."""

    def __init__(self, rows: Sequence[Row] = (), *, most: int = 10_000, until_ms: int = UNTIL_MS) -> None:
        self.rows, self.most, self.until_ms = list(rows), most, until_ms
        self.questions: list[Sums] = []
        self.failure: Failure | None = None

    def answer(self, question: Sums) -> Answer:
        """One page."""
        self.questions.append(question)
        if self.failure:
            return self.failure
        assert question.since_s < question.until_s
        found: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
        for one in self.rows:
            if _fits(one, question):
                place = (_bucket_s(one, question), tuple(_value(one, name) for name in question.by))
                found.setdefault(place, []).append(one)
        places = sorted(found)
        first = int(question.after or 0)
        if question.after is not None and not 0 < first < len(places):
            return Failure(kind="invalid", error="no such place")
        end = first + min(question.limit, self.most)
        rows = [_sum(place, found[place], question.by) for place in places[first:end]]
        return SumsAnswer(rows=rows, next=str(end) if end < len(places) else None, stored_until_ms=self.until_ms)


def _fits(one: Row, question: Sums) -> bool:
    return (
        question.since_s * 1000 <= one.began_ms < question.until_s * 1000
        and question.tenant in (None, one.tenant)
        and all(_value(one, name) in values for name, values in question.where.items())
    )


def _value(one: Row, name: Dimension) -> str:
    value = getattr(one, name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bucket_s(one: Row, question: Sums) -> int:
    at_s = one.began_ms // 1000
    match question.width:
        case None:
            return question.since_s
        case "month":
            month = dt.datetime.fromtimestamp(at_s, dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            return int(month.timestamp())
        case width:
            return at_s - at_s % {"minute": 60, "hour": 3600, "day": 86_400}[width]


def _sum(place: tuple[int, tuple[str, ...]], rows: Sequence[Row], by: Sequence[Dimension]) -> SumRow:
    costs = [one.cost * one.sign for one in rows if one.cost is not None]
    return SumRow(
        start_s=place[0],
        group=dict(zip(by, place[1], strict=True)),
        estimated_requests=sum(one.sign * one.requests for one in rows if one.estimated),
        cost=sum(costs, Decimal(0)) if costs else None,
        **{name: sum(one.sign * getattr(one, name) for one in rows) for name in _COUNTS},
    )


@contextmanager
def serving(store: RowStore, path: Path) -> Iterator[None]:
    """On a Unix socket, a connection for each question."""
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = msgspec.json.decode(await reader.readline(), type=Sums | Marks | Export)
        assert not isinstance(question, Export)
        said = _NO_MARKS if isinstance(question, Marks) else store.answer(question)
        writer.write(msgspec.json.encode(said) + b"\n")
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_unix_server(connected, path)
        async with server:
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
        path.unlink(missing_ok=True)
