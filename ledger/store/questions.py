"""Answers questions about usage from the store: a line in, lines out. Reads only.

A question has bounds of its own (rows, seconds, memory, threads), and few are asked of the store at once: whoever
asks for too much hears so, and nobody else waits for it longer than that. What the store says of an error is for the
log; the asker hears what to do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

from headgate.usage_questions import (
    LINE_BYTES,
    Answer,
    Asked,
    Export,
    ExportedRow,
    ExportEnd,
    Failure,
    Mark,
    Marks,
    MarksAnswer,
    SumRow,
    Sums,
    SumsAnswer,
)
from ledger.store.client import Store, StoreError
from ledger.store.marks import stored_marks
from ledger.store.places import place_text, read_place
from ledger.store.question_rules import Invalid, check
from ledger.store.question_sql import SUMS, Query, export_place, export_query, sums_query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

AT_ONCE = 2  # questions that the store works at
MOST_WAITING = 64
EXPORT_STEP = 2_000  # rows of one SELECT: an export lets others in between
PAGE_BYTES = LINE_BYTES // 2

SETTINGS: Mapping[str, Any] = {  # of one SELECT
    "max_execution_time": 20,
    "max_memory_usage": 512 * 2**20,
    "max_threads": 2,
    "max_result_rows": 20_000,
}
_BOUNDS = frozenset({158, 159, 160, 241, 307, 396})  # ClickHouse's codes: rows, time, speed, memory, bytes, result
_TOO_MUCH = "too much for one question: ask for less time, or for fewer groups"

T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger()

_decoder: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)
_encoder = msgspec.json.Encoder()


class Refused(Exception):  # noqa: N818 - what became of the question
    """It is answered with this failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


class Questions:
    """`stored_until_ms` says what is in the store by now, `own` who writes here and how far; `clock` is Unix time.
    `freshen` has what waits stored, and waits for that; in a thread, ahead of a question's first page.
    """

    def __init__(
        self,
        store: Store,
        stored_until_ms: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.time,
        own: Callable[[], tuple[str, Mark | None]] = lambda: ("", None),
        freshen: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._own = own
        self._stored_until_ms = stored_until_ms
        self._clock = clock
        self._freshen = freshen
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="question")
        self._waiting = 0

    def close(self) -> None:
        """Forget what waits; what runs ends by its own bounds."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, line: bytes) -> AsyncIterator[bytes]:
        """JSON lines for a JSON line, each with its end."""
        try:
            question = _read(line)
            if isinstance(question, Marks):
                yield _line(await self._marks(question))
                return
            place = read_place(question)
            if place is None:
                await self._in_thread(self._freshen)
            if isinstance(question, Sums):
                yield _line(await self._sums(question, place))
            else:
                async for found in self._export(question, place):
                    yield found
        except Invalid as error:
            yield _line(Failure(kind="invalid", error=str(error)))
        except Refused as refused:
            yield _line(refused.failure)

    async def _marks(self, question: Marks) -> MarksAnswer:
        gateway, own = self._own()  # before: what it is at by now is in what the store says
        found = await self._asked(stored_marks) if question.stored else ()
        return MarksAnswer(gateway=gateway, own=own, stored=list(found))

    async def _sums(self, question: Sums, place: list[int | str] | None) -> SumsAnswer:
        until_ms = self._stored_until_ms()  # before: what is in by now is in the answer
        found = await self._select(sums_query(question, place, int(self._clock())))
        rows: list[SumRow] = []
        size = 0
        for values in found[: question.limit]:
            row = _sum_row(question, values)
            size += len(_encoder.encode(row))
            if rows and size > PAGE_BYTES:
                break
            rows.append(row)
        goes_on = len(rows) < len(found)
        after = place_text(question, list(found[len(rows) - 1][: 1 + len(question.by)])) if goes_on else None
        return SumsAnswer(rows=rows, next=after, stored_until_ms=until_ms)

    async def _export(self, question: Export, place: list[int | str] | None) -> AsyncIterator[bytes]:
        until_ms = self._stored_until_ms()
        left = question.limit
        while True:
            step = min(left, EXPORT_STEP)
            rows = await self._select(export_query(question, place, step))
            if rows:
                told = [_exported(values) for values in rows]
                yield b"".join(_line(row) for row in told)
                place = export_place(told[-1])
            left -= len(rows)
            if len(rows) < step or not left:
                break
        after = place_text(question, place) if place is not None and len(rows) == step else None
        yield _line(ExportEnd(next=after, stored_until_ms=until_ms))

    async def _select(self, query: Query) -> Sequence[Sequence[Any]]:
        """Raises Refused."""

        def read(client: "Client") -> Sequence[Sequence[Any]]:
            return client.query(query.sql, parameters=query.parameters, settings=dict(SETTINGS)).result_rows

        return await self._asked(read)

    async def _asked(self, read: Callable[["Client"], Sequence[T]]) -> Sequence[T]:
        """Raises Refused."""
        try:
            found = await self._in_thread(lambda: self._run(read))
        except Refused:
            raise
        except Exception as error:  # StoreError's text quotes nothing; of others, the kind alone may be told
            reason = str(error) if isinstance(error, StoreError) else type(error).__name__
            log.warning("the usage store did not answer a question", reason=reason)
            raise Refused(Failure(kind="away", error="the usage store does not answer now")) from error
        if found is None:
            raise Refused(Failure(kind="too_much", error=_TOO_MUCH))
        return found

    async def _in_thread(self, work: Callable[[], R]) -> R:
        """Raises Refused where too many wait, and what it raises."""
        if self._waiting >= MOST_WAITING:
            raise Refused(Failure(kind="away", error="the usage store has too many questions at once"))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _run(self, read: Callable[["Client"], Sequence[T]]) -> Sequence[T] | None:
        """None where it was too much. Raises StoreError."""
        if not self._store.exists:
            return ()
        with self._store.client() as client:
            try:
                return read(client)
            except Exception as error:  # the bounds of this question: not the store's fault, which would be away
                if getattr(error, "code", None) not in _BOUNDS:
                    raise
                return None


def _read(line: bytes) -> Asked:
    try:
        question = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"no question: {error}") from error
    if not isinstance(question, Marks):
        check(question)
    return question


def _sum_row(question: Sums, values: Sequence[Any]) -> SumRow:
    start_s, *rest = values
    groups, sums = rest[: len(question.by)], dict(zip(SUMS, rest[len(question.by) :], strict=True))
    costed = sums.pop("costed")
    cost = sums.pop("cost")
    group = dict(zip(question.by, groups, strict=True))
    return SumRow(start_s=start_s, group=group, cost=cost if costed else None, **sums)


def _exported(values: Sequence[Any]) -> ExportedRow:
    return ExportedRow(**dict(zip(ExportedRow.__struct_fields__, values, strict=True)))


def _line(answer: Answer) -> bytes:
    return _encoder.encode(answer) + b"\n"
