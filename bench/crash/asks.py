"""What is asked and what is killed when: all of it follows from the seed. Pure.

Each model answers with so many tokens in an event, always, so that what passed says how many tokens it was; all
lengths are multiples of six, so that last events are no shorter.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

VICTIMS = ("envoy", "filters-", "valkey", "ledger", "usage")  # how the names of their parts begin
TENANTS = ("acme", "globex", "free")
UNLIMITED = "free"  # of these: nothing is counted before, and nothing is reserved
PER_EVENT = {"continuous": 1, "final": 3, "mixed": 2}  # tokens, by model
INPUT_NANO, OUTPUT_NANO = 1_000, 2_000  # what a token costs
# Of each kind of answer: enough for the ledger to learn what its events are worth. Some of `mixed` teach nothing.
LESSONS = {"continuous": 40, "final": 40, "mixed": 80}

_MOST_TOKENS = 60
_TOKEN_S = 0.02
_WORDS = range(200, 400)  # of prompts: what a chat has around them weighs little beside that


@dataclass(frozen=True)
class Options:
    """How large a run is."""

    requests: int = 5_000
    kills: int = 50
    seed: int = 0
    clients: int = 40


@dataclass(frozen=True)
class Kill:
    """A part that was killed, and when, in Unix seconds."""

    part: str
    at: float


@dataclass(frozen=True)
class Ask:
    """One request. `leaves_after`: the events after which its client is gone, 0 before there is an answer."""

    number: int
    tenant: str
    model: str
    streamed: bool
    tokens: int
    words: int
    wish: dict[str, Any] = field(default_factory=dict)
    leaves_after: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """With its number as the first word of the prompt and as user: engine and store say which it is."""
        pace = {"tokens": self.tokens, "token_s": _TOKEN_S, "ttft_s": 0.02, "tokens_per_event": PER_EVENT[self.model]}
        prompt = f"{self.number} " + " ".join(["word"] * (self.words - 1))
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": self.streamed,
            "user": str(self.number),
            "max_tokens": 2 * _MOST_TOKENS,
            "simulate": pace | self.wish,
        }


def lessons() -> list[Ask]:
    """What is asked before anything is killed; their numbers are negative."""
    found: list[Ask] = []
    for model, times in LESSONS.items():
        for turn in range(times):
            tokens, words = 6 * (1 + turn % (_MOST_TOKENS // 6)), _WORDS[turn * 7 % len(_WORDS)]
            found.append(Ask(-1 - len(found), TENANTS[turn % len(TENANTS)], model, turn % 4 > 0, tokens, words))
    return found


def asks(options: Options) -> Iterator[Ask]:
    """The requests, in their order."""
    chance = random.Random(options.seed)  # noqa: S311 - the same again for the same seed
    for number in range(options.requests):
        model = chance.choice(tuple(PER_EVENT))
        streamed = chance.random() < 0.8
        tokens, words = 6 * chance.randrange(1, _MOST_TOKENS // 6 + 1), chance.choice(_WORDS)
        wish, leaves_after = _fate(chance, streamed, tokens)
        yield Ask(number, chance.choice(TENANTS), model, streamed, tokens, words, wish, leaves_after)


def kills(options: Options) -> list[tuple[int, str]]:
    """After how many requests which part is killed: each kind as often as the others, in any order, at any time."""
    chance = random.Random(options.seed + 1)  # noqa: S311
    victims = [VICTIMS[at % len(VICTIMS)] for at in range(options.kills)]
    chance.shuffle(victims)
    moments = sorted(chance.randrange(options.requests // 100, options.requests) for _ in victims)
    return list(zip(moments, victims, strict=True))


def _fate(chance: random.Random, streamed: bool, tokens: int) -> tuple[dict[str, Any], int | None]:
    """How the engine fails, if it does, and when the client leaves."""
    drawn = chance.random()
    if drawn < 0.04:
        return {"status": 500}, None
    if drawn < 0.07:
        return {"cut_after": "before_headers"}, None
    if drawn < 0.13 and streamed:
        return {"cut_after": chance.randrange(tokens)}, None
    if drawn < 0.18:
        return {}, 0
    if drawn < 0.35 and streamed:
        return {}, chance.randrange(1, tokens + 1)
    return {}, None
