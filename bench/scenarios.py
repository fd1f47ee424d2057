"""What every way to the upstream is asked alike, to compare them: scenarios by name. Pure.

A prompt has a number of its own in each request, so that nobody has seen it before.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.batch import CHAT, Ask
from bench.http import NUMBER
from bench.subject import Subject

CHUNKS = 200
BIG_PROMPT_BYTES = 400_000
TOKEN_BYTES = 4  # of English text, about

# Three sorts of requests with their shares: tokens of the prompt and of the answer, each with its standard deviation.
# NVIDIA's AIPerf has this mixture as its example of sequence length distributions.
LENGTHS = ((0.7, (64, 10), (32, 8)), (0.2, (256, 40), (128, 20)), (0.1, (1024, 100), (512, 50)))
_DRAWN = 200  # requests of the mixture, sent in turn

_WORDS = "what does a head gate do, say it in eight words; "
_REFUSED = '"error"'


@dataclass(frozen=True, slots=True)
class Scenario:
    """`model` is the word by which a subject knows the model; `refused`, why its clients are refused, if they are.

    With a `rate` requests arrive by themselves, so many a second; else `connections` clients wait for their answers.
    """

    name: str
    title: str
    asks: Callable[[Subject], list[Ask]]
    connections: int = 1
    rate: float | None = None
    model: str = "chat"
    refused: str = ""
    streams: bool = False

    def possible_for(self, subject: Subject) -> bool:
        """Whether the subject has what is asked for."""
        return self.model in subject.models and (not self.refused or self.refused in subject.refused)


def short(subject: Subject) -> list[Ask]:
    """A small question, a small answer."""
    return [_chat(subject, "chat", _prompt())]


def prompts(size: int) -> Callable[[Subject], list[Ask]]:
    """A question of so many bytes, a small answer."""
    return lambda subject: [_chat(subject, "chat", _prompt(size))]


def big_and_short(subject: Subject) -> list[Ask]:
    """One prompt of 400 kB for every nineteen short ones, whose times are kept apart."""
    big = _chat(subject, "chat", _prompt(BIG_PROMPT_BYTES), label="400 kB")
    return [big, *[_chat(subject, "chat", _prompt(), label="short")] * 19]


def embedding(subject: Subject) -> list[Ask]:
    """A sentence, 1,536 numbers."""
    body = {"model": subject.models["embedding"], "input": _prompt()}
    return [Ask(body, _headers(subject, "embedding"), "/v1/embeddings", says='"embedding":')]


def streamed(model: str, chunks: int = CHUNKS) -> Callable[[Subject], list[Ask]]:
    """A stream of so many chunks."""
    return lambda subject: [_stream(subject, model, _prompt(), chunks)]


def fallback(subject: Subject) -> list[Ask]:
    """The first target fails, the second answers."""
    return [_chat(subject, "fallback", _prompt())]


def refused(why: str) -> Callable[[Subject], list[Ask]]:
    """A request that goes no further than the gateway."""

    def asks(subject: Subject) -> list[Ask]:
        headers, statuses = subject.refused[why]
        return [Ask(_body(subject, "chat", _prompt()), dict(headers), statuses=statuses, says=_REFUSED)]

    return asks


def mixture(subject: Subject) -> list[Ask]:
    """Streams whose prompts and answers are as long as `LENGTHS` says; the same in every run."""
    draw = random.Random(7)  # noqa: S311 - no secret
    shares = [share for share, _, _ in LENGTHS]
    asks = []
    for _, asked, answered in draw.choices(LENGTHS, shares, k=_DRAWN):
        prompt = max(1, round(draw.gauss(*asked))) * TOKEN_BYTES
        asks.append(_stream(subject, "chat", _prompt(prompt), max(2, round(draw.gauss(*answered)))))
    return asks


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("one", "short JSON, one client", short),
        Scenario("short", "short JSON, 64 clients", short, 64),
        *(
            Scenario(f"streams-{count}", f"200-chunk streams, {count} at once", streamed("chat"), count, streams=True)
            for count in (1, 16, 64, 256)
        ),
        Scenario("big", "a 400 kB prompt among 19 short, 16 clients", big_and_short, 16),
        Scenario("embeddings", "embeddings, 64 clients", embedding, 64, model="embedding"),
        Scenario("bad-key", "refused: unknown key", refused("bad-key"), 64, refused="bad-key"),
        Scenario("over-limit", "refused: over its limit", refused("over-limit"), 64, refused="over-limit"),
        Scenario(
            "translated",
            "200-chunk streams translated from Anthropic's API, 16 at once",
            streamed("anthropic"),
            16,
            model="anthropic",
            streams=True,
        ),
        Scenario("fallback", "every request falls back, 64 clients", fallback, 64, model="fallback"),
        Scenario("mixed", "mixed streams, 20 a second (Poisson)", mixture, rate=20.0, streams=True),
    )
}


def _prompt(size: int = 0) -> str:
    return f"{NUMBER}: {(_WORDS * (max(size, len(_WORDS)) // len(_WORDS) + 1))[: max(size, len(_WORDS))]}"


def _headers(subject: Subject, model: str) -> dict[str, str]:
    return {**subject.headers, **subject.extra.get(model, {})}


def _body(subject: Subject, model: str, prompt: str) -> dict[str, Any]:
    return {"model": subject.models[model], "messages": [{"role": "user", "content": prompt}]}


def _chat(subject: Subject, model: str, prompt: str, *, label: str = "") -> Ask:
    body = _body(subject, model, prompt)
    return Ask(body, _headers(subject, model), CHAT, label, says="Eight words are enough")


def _stream(subject: Subject, model: str, prompt: str, chunks: int) -> Ask:
    body = {**_body(subject, model, prompt), "stream": True, "max_tokens": chunks, **subject.asks}
    return Ask(body, _headers(subject, model), CHAT, pieces=chunks)
