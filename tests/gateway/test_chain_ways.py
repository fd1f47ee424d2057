"""Each way in which a target fails, at each position of a chain: who answers then, and what a client is told.

What may still move on depends on what has gone on: a head waits for the body's first byte, that of a translated
stream until the answer has begun, and neither for longer than a part of the time for headers.
"""

import asyncio
import itertools
from dataclasses import dataclass
from typing import Literal

import pytest
from chains import MODELS, OWN_API, Chains, Surface, Told
from provider_ways import RETRY_AFTER_S, WAYS

# next: the target after this one answers; error: the client is told this one's error, nobody else is asked;
# passes: the answer goes on as it is; cut: it goes on and is cut; told: an error event follows what went on.
Outcome = Literal["next", "error", "passes", "cut", "told"]


@dataclass(frozen=True)
class Row:
    """What comes of a way: of targets of the client's API and of translated ones, whole and streamed."""

    whole: Outcome
    streamed: Outcome
    translated_whole: Outcome
    translated_streamed: Outcome
    status: tuple[int, ...]  # of the error, where there is no target after this one

    def outcome(self, *, translated: bool, stream: bool) -> Outcome:
        if translated:
            return self.translated_streamed if stream else self.translated_whole
        return self.streamed if stream else self.whole


def moves_on(*status: int) -> Row:
    return Row("next", "next", "next", "next", status)


def stays(*status: int) -> Row:
    return Row("error", "error", "error", "error", status)


TABLE: dict[str, Row] = {
    "refused": moves_on(503),
    "status_500": moves_on(500),
    "status_503": moves_on(503),
    "status_429": moves_on(429),
    "status_401": stays(401),
    "status_400": stays(400),
    "context_window": moves_on(400),
    "context_window_otherwise": moves_on(400),
    "reset_before_headers": moves_on(503),
    "reset_after_headers": moves_on(503),
    "reset_in_answer": Row("cut", "cut", "next", "cut", (503,)),
    # `timeouts.headers` is for streams: an answer that comes whole may take as long as `timeouts.total`.
    "silent": Row("error", "next", "error", "next", (504,)),
    "headers_then_silence": Row("error", "cut", "error", "error", (504,)),
    "silence_in_answer": Row("cut", "cut", "error", "cut", (504,)),
    "error_event_first": Row("passes", "passes", "next", "next", (502, 503)),
    "error_event_after_nothing": Row("passes", "passes", "next", "next", (502, 503)),
    "error_event_later": Row("passes", "passes", "next", "told", (502, 503)),
    "limit_event_first": Row("passes", "passes", "next", "next", (429,)),
    "html": moves_on(502),
    "gzip": moves_on(502),
    "bad_json": Row("passes", "passes", "next", "next", (502,)),
    "truncated": Row("passes", "passes", "next", "told", (502,)),
    "wrong_order": Row("passes", "passes", "next", "next", (502,)),
    "empty": Row("passes", "passes", "next", "next", (502,)),
}
SLOW = {"silent", "headers_then_silence", "silence_in_answer"}
SURFACES: tuple[Surface, ...] = ("chat", "messages")
POSITIONS = (1, 2, 3)


@dataclass(frozen=True)
class Case:
    """The failing target and where it stands: those before it fail with 503, those after it are good."""

    way: str
    failing: str
    surface: Surface
    position: int
    stream: bool

    @property
    def model(self) -> str:
        return f"{self.way}/{self.failing}/{self.surface}/{self.position}/{'streamed' if self.stream else 'whole'}"

    @property
    def order(self) -> list[str]:
        others = [name for name in ("claude", "engine", "prefixed") if name != self.failing]
        others.insert(self.position - 1, self.failing)
        return others

    @property
    def translated(self) -> bool:
        return OWN_API[self.surface] != ("anthropic" if self.failing == "claude" else "openai")

    @property
    def outcome(self) -> Outcome:
        return TABLE[self.way].outcome(translated=self.translated, stream=self.stream)

    def declare(self) -> None:
        """A model of its own, and target models of its own: a 429 rests one."""
        targets = []
        for number, name in enumerate(self.order, 1):
            way = "status_503" if number < self.position else "ok" if number > self.position else self.way
            refused = number == self.position and way == "refused"
            targets.append(("refused" if refused else name, f"{'ok' if refused else way}#{self.model}"))
        timeouts = {"headers": "1s", "total": "3s"} if self.way in SLOW else {}
        MODELS.add(self.model, targets, timeouts=timeouts)


def cases(way: str) -> list[Case]:
    rest = itertools.product(("prefixed", "claude"), SURFACES, POSITIONS, (False, True))
    return [Case(way, *combination) for combination in rest]


for every_case in itertools.chain.from_iterable(map(cases, TABLE)):
    every_case.declare()


def test_every_way_is_in_the_table() -> None:
    assert set(TABLE) == set(WAYS) - {"ok"} | {"refused"}


@pytest.mark.parametrize("way", TABLE)
async def test_what_follows(chains: Chains, way: str) -> None:
    asked = cases(way)
    answers = await asyncio.gather(*(chains.ask(case.surface, case.model, stream=case.stream) for case in asked))
    wrong = [text for case, told in zip(asked, answers, strict=True) if (text := mistake(chains, case, told))]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(asked)}", *wrong])


def mistake(chains: Chains, case: Case, told: Told) -> str | None:
    """What is not as the table says, with the answer that shows it."""
    try:
        _check(chains, case, told)
    except (AssertionError, KeyError, ValueError, IndexError, TypeError) as error:
        what, reply = str(error).partition("\n")[0], told.reply
        return f"{case.model}: expected {case.outcome}: {what}: {reply.status} {reply.headers} {reply.body[-300:]!r}"
    return None


def _check(chains: Chains, case: Case, told: Told) -> None:
    moves = case.outcome == "next" and case.position < len(POSITIONS)
    tried = case.position + moves
    assert told.attempts == tried
    assert told.target == (case.order[tried - 1] if moves or case.way != "refused" else "refused")
    reached = dict.fromkeys(case.order[:tried], 1)
    if case.way == "refused":
        del reached[case.failing]
    assert chains.providers.asked(told.reply.request_id) == reached
    if moves:
        assert told.text == f"Hello from {told.target}."
        assert told.source is None
    elif case.outcome in ("next", "error"):
        _check_error(case, told)
    else:
        _check_answer(case, told)


def _check_error(case: Case, told: Told) -> None:
    assert told.status in TABLE[case.way].status
    assert (told.source, told.reply.headers["content-type"]) == ("provider", "application/json")
    # vLLM's own wording is no error of OpenAI's, and passes as it is.
    if not (case.way == "context_window_otherwise" and case.surface == "chat" and not case.translated):
        assert told.error["message"]
    if case.way == "status_429":
        assert told.reply.headers["retry-after"] == str(RETRY_AFTER_S)


def _check_answer(case: Case, told: Told) -> None:
    assert told.status == 200
    assert told.reply.whole == (case.outcome != "cut")
    if case.outcome == "told":
        told.error_in(told.events[-1])
        assert b"Hello" in told.reply.body
        assert b" from" not in told.reply.body
