"""The usage store's answers, from a list of rows: what control asks is added up here, in the plainest way."""

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headgate.usage_questions import Failure, Mark, Marks, MarksAnswer, Question, SumRow, Sums, SumsAnswer
from ledger.rows import Row

LONG_AGO, JUST_NOW = 0, time.time_ns() // 1_000_000
_COUNTS = {
    name: name
    for name in (
        *("requests", "prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens"),
        *("reasoning_tokens", "units", "price_nano"),
    )
}
_NUMBERS = itertools.count()


def row(tenant: str = "acme", began: str = "2026-10-15T12:00:00Z", **more: Any) -> Row:
    """A request that was answered."""
    began_ms = round(dt.datetime.fromisoformat(began).timestamp() * 1000)
    usual: dict[str, Any] = dict.fromkeys(Row.__struct_fields__, 0)
    texts = ("user", "project", "upstream_model", "provider_key", "variant", "reason", "unit", "trace_id")
    usual |= dict.fromkeys(texts, "") | {"request_id": f"r{next(_NUMBERS)}", "sign": 1, "flags": "-", "status": 200}
    usual |= {"key_id": "ci", "surface": "chat", "model": "chat", "provider": "local", "requests": 1}
    usual |= {"estimated": False, "streamed": False, "cost": None, "first_byte_ms": None, "first_token_ms": None}
    return Row(**usual | {"tenant": tenant, "began_ms": began_ms, "ended_ms": began_ms + 500} | more)


def answer(rows: Sequence[Row], asked: Sums, stored_until_ms: int) -> SumsAnswer:
    """In pages of `limit`; its cursors are numbers."""
    sums: dict[tuple[int, tuple[str, ...]], dict[str, int]] = {}
    for one in rows:
        group = tuple(value_of(one, name) for name in asked.by)
        if not is_meant(one, asked):
            continue
        found = sums.setdefault((start_of(one, asked), group), dict.fromkeys([*_COUNTS, "estimated_requests"], 0))
        for name in _COUNTS:
            found[name] += one.sign * getattr(one, name)
        found["estimated_requests"] += one.sign * one.requests * one.estimated
    made = [
        SumRow(start_s=start, group=dict(zip(asked.by, group, strict=True)), cost=None, **counts)
        for (start, group), counts in sorted(sums.items())
    ]
    at = int(asked.after or 0)
    following = str(at + asked.limit) if len(made) > at + asked.limit else None
    return SumsAnswer(rows=made[at : at + asked.limit], next=following, stored_until_ms=stored_until_ms)


def is_meant(one: Row, asked: Sums) -> bool:
    began_s = one.began_ms / 1000
    named = all(value_of(one, name) in wanted for name, wanted in asked.where.items())
    return asked.tenant in (None, one.tenant) and asked.since_s <= began_s < asked.until_s and named


def start_of(one: Row, asked: Sums) -> int:
    assert asked.width in (None, "day"), "what invoices ask"
    return asked.since_s if asked.width is None else one.began_ms // 86_400_000 * 86_400


def value_of(one: Row, name: str) -> str:
    value = getattr(one, name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def asked_of(rows: Sequence[Row], stored_until_ms: int = JUST_NOW) -> Callable[[Sums], SumsAnswer]:
    """In the place of the socket."""
    return lambda question: answer(rows, question, stored_until_ms)


def marks_of(stored: Sequence[Mark], own: Mark | None = None) -> Callable[[Marks], MarksAnswer]:
    """Likewise, of a gateway of this host."""
    return lambda asked: MarksAnswer(gateway="here", own=own, stored=list(stored) if asked.stored else [])


@contextlib.asynccontextmanager
async def served(path: Path, rows: Sequence[Row], stored_until_ms: int = JUST_NOW) -> AsyncIterator[None]:
    """On a socket: a JSON line for a JSON line."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            question = msgspec.json.decode(line, type=Question)  # type: ignore[type-var]
            said: Any = Failure(kind="invalid", error="no sums")
            if isinstance(question, Sums):
                said = answer(rows, question, stored_until_ms)
            writer.write(msgspec.json.encode(said) + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(connected, path)
    async with server:
        yield
