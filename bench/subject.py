"""What is measured: a way to the upstream, with the processes whose CPU time is its price."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from bench import answers
from bench.gateway import MODEL, MODELS, new_key
from bench.http import NUMBER
from bench.meter import cpu_ns
from bench.stored import Stored

T = TypeVar("T")

_SETTLE_S = 0.15  # access logs are flushed every 50 ms

# Numbered, so that no worker has counted the tokens of this text before.
_MESSAGES = [{"role": "user", "content": f"{NUMBER}: say in eight words what a head gate does."}]
USAGE = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


@dataclass(frozen=True, slots=True)
class Subject:
    """`pids` are the processes that count, by component. `asks` is what its client adds to a stream's body.

    `frame_events` is how many events its client sees of a stream beside those with content, `[DONE]` among them;
    `frame_usages`, how often it reads of usage there where none of the others has any. `models` are its names for
    what scenarios ask for, by a word of theirs (`chat`, …), `extra` the headers that it needs beside for some of
    them, and `refused` the headers of clients that it refuses, with the statuses, by the reason. What is in none it
    cannot do. `finish` waits until it has done what requests leave to be done later, by the component `later`.
    """

    name: str
    port: int
    headers: Mapping[str, str]
    model: str
    asks: Mapping[str, Any]
    hides_usage: bool
    frame_events: int
    pids: Mapping[str, tuple[int, ...]]
    path: str = "/v1/chat/completions"
    prompt: str = "messages"  # the members of its requests that say what to answer, and how long
    limit: str = "max_tokens"
    frame_usages: int = 0
    models: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, tuple[Mapping[str, str], tuple[int, ...]]] = field(default_factory=dict)
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    finish: Callable[[], None] | None = None
    later: str = ""

    def body(self) -> dict[str, Any]:
        """A small request."""
        return {"model": self.model, self.prompt: _MESSAGES}

    def stream_body(self, chunks: int) -> dict[str, Any]:
        """The same for a stream of so many content chunks."""
        return {**self.body(), "stream": True, self.limit: chunks, **self.asks}

    def cpu_ns(self) -> dict[str, int]:
        """CPU time so far, by component."""
        return {name: sum(map(cpu_ns, pids)) for name, pids in self.pids.items()}

    def spent(self, work: Callable[[], T], *, later_too: bool = True) -> tuple[T, dict[str, int]]:
        """What comes of the work, and nanoseconds of CPU by component; of `later`, until that is done."""
        if self.finish:
            self.finish()
        before = self.cpu_ns()
        result = work()
        time.sleep(_SETTLE_S)
        after = self.cpu_ns()
        if self.finish and later_too:
            self.finish()
            after[self.later] = self.cpu_ns()[self.later]
        return result, {name: after[name] - before[name] for name in before}


def plain_subject(port: int, pids: Mapping[str, tuple[int, ...]], name: str = "plain") -> Subject:
    """Nothing between, or what only passes bytes on: the client asks for usage itself, or the upstream sends none."""
    models = {"chat": answers.MODEL, "embedding": answers.EMBEDDING_MODEL}
    return Subject(name, port, {}, answers.MODEL, USAGE, hides_usage=False, frame_events=2, pids=pids, models=models)


def gateway_subject(
    port: int, keys: Mapping[str, str], pids: Mapping[str, tuple[int, ...]], stored: Stored | None = None
) -> Subject:
    """The gateway: the client asks for nothing, usage is metered and hidden. `stored`: its usage store counts too."""
    return Subject(
        "gateway",
        port,
        bearer(keys["bench"]),
        MODEL,
        {},
        hides_usage=True,
        frame_events=1,
        pids=pids,
        models=MODELS,
        # Many unknown keys from one address are told to come later.
        refused={"bad-key": (bearer(new_key()), (401, 429)), "over-limit": (bearer(keys["spent"]), (429,))},
        finish=stored.until_all if stored else None,
        later="usage",
    )


def bearer(key: str) -> dict[str, str]:
    """The headers of a client with this key."""
    return {"authorization": f"Bearer {key}"}


def limited_subject(gateway: Subject, key: str, model: str) -> Subject:
    """The same gateway, asked by a tenant with limits by tokens and money."""
    return replace(gateway, name="limited", headers=bearer(key), model=model)


def translated_subject(gateway: Subject, model: str) -> Subject:
    """The same gateway, where a provider of another API answers: role and finish reason are events of their own."""
    return replace(gateway, name=model, model=model, frame_events=3)


def responses_subject(gateway: Subject, model: str, name: str) -> Subject:
    """The same gateway, asked for responses by way of chat completions: with four events at each end of a stream."""
    return replace(
        gateway,
        name=name,
        model=model,
        frame_events=8,
        frame_usages=1,
        path="/v1/responses",
        prompt="input",
        limit="max_output_tokens",
    )
