"""Asks the usage store's part, on its socket. Opens no store, and keeps no more of an answer than one line.

UsageError
├── UsageAway           no answer now: no such part, a store that is down, too slow
└── UsageRefused        this question is never answered as it stands: say what is wrong, or ask for less
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from headgate.usage_questions import (
    LINE_BYTES,
    Answer,
    Asked,
    Export,
    ExportedRow,
    ExportEnd,
    Failure,
    Marks,
    MarksAnswer,
    Sums,
    SumsAnswer,
)

ANSWER_WITHIN_S = 30.0  # each line of it
_OTHER = "the usage store's answer is of another question"
T = TypeVar("T", SumsAnswer, MarksAnswer)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)

_Told = SumsAnswer | MarksAnswer | ExportedRow | ExportEnd  # what is no Failure


class UsageError(Exception):
    """There is no answer; the text is for people, and names no path."""


class UsageAway(UsageError):  # noqa: N818 - what it says of the store
    """Nobody answers now: later, perhaps."""


class UsageRefused(UsageError):  # noqa: N818 - what became of the question
    """The question is at fault. `kind` is "invalid", or "too_much" of it at once."""

    def __init__(self, kind: Literal["invalid", "too_much"], text: str) -> None:
        super().__init__(text)
        self.kind = kind


class UsageClient:
    """One connection per question. `within_s` is how long each line of an answer may take."""

    def __init__(self, path: Path, within_s: float = ANSWER_WITHIN_S) -> None:
        self._path = path
        self._within_s = within_s

    async def ask(self, question: Sums) -> SumsAnswer:
        """One page of sums. Raises UsageError."""
        return await self._one(question, SumsAnswer)

    async def marks(self, question: Marks) -> MarksAnswer:
        """How far gateways have stored. Raises UsageError."""
        return await self._one(question, MarksAnswer)

    async def every_sum(self, question: Sums) -> AsyncGenerator[SumsAnswer, None]:
        """Page after page until the last. Raises UsageError."""
        answer = await self.ask(question)
        yield answer
        while answer.next is not None:
            answer = await self.ask(msgspec.structs.replace(question, after=answer.next))
            yield answer

    async def export(self, question: Export) -> AsyncGenerator[ExportedRow | ExportEnd, None]:
        """Rows, then the one `ExportEnd`. Raises UsageError, also in the middle. Close it if you leave early."""
        async with contextlib.aclosing(self._answers(question)) as answers:
            async for answer in answers:
                if not isinstance(answer, ExportedRow | ExportEnd):
                    break
                yield answer
                if isinstance(answer, ExportEnd):
                    return
        raise UsageAway(_OTHER)

    async def _one(self, question: Asked, kind: type[T]) -> T:
        async with contextlib.aclosing(self._answers(question)) as answers:
            async for answer in answers:
                if isinstance(answer, kind):
                    return answer
                break
        raise UsageAway(_OTHER)

    async def _answers(self, question: Asked) -> AsyncGenerator[_Told, None]:
        try:
            async with asyncio.timeout(self._within_s):
                reader, writer = await asyncio.open_unix_connection(str(self._path), limit=LINE_BYTES)
        except (OSError, TimeoutError) as error:
            raise UsageAway("the usage store does not answer") from error
        try:
            writer.write(_encoder.encode(question) + b"\n")
            while True:
                yield await self._next(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _next(self, reader: asyncio.StreamReader) -> _Told:
        try:
            async with asyncio.timeout(self._within_s):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                raise UsageAway("the usage store's part ended meanwhile")
            answer = _decoder.decode(line)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: too long, or not of ours
            raise UsageAway("the usage store does not answer") from error
        if not isinstance(answer, Failure):
            return answer
        if answer.kind == "away":
            raise UsageAway(answer.error)
        raise UsageRefused(answer.kind, answer.error)
