"""What strategies go by, learned from the spool: how fast targets are, how long a model's answers. Told by the feed.

Only of models whose strategy needs it, and only for as long as somebody uses them. Nothing is kept over a restart: it
is learned again within moments.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from headgate.feed.figures import MOST_FIGURES, Mean, TimeOf
from headgate.snapshot import TenantRow
from ledger.spool.attempts import Attempt, kind_of
from ledger.spool.lines import RECOVERED, Line
from ledger.tables import Tables

HALF_LIFE_S = 30.0  # of what a request says about how fast a target is
ANSWER_HALF_LIFE_S = 600.0
KEPT_S = 600.0  # what nobody has used for so long is unknown again
LONGEST_MS = 600_000.0
MOST_TOKENS = 1_000_000

_Key = TypeVar("_Key")

Tell = Callable[[Mapping[TimeOf, Mean], Mapping[str, Mean]], None]


class Decaying:
    """A mean of samples, each of which loses half of its weight in `half_life_s`."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._total = self._weight = 0.0
        self.at = 0.0  # of the last sample

    def add(self, value: float, now: float) -> None:
        """One more sample."""
        kept = 0.5 ** ((now - self.at) / self._half_life_s)
        self._total, self._weight, self.at = self._total * kept + value, self._weight * kept + 1, now

    def mean(self) -> Mean:
        """What it is, and what it was worth at the last sample."""
        return Mean(self._total / self._weight, self._weight)


class FigureLearner:
    """An observer of both files. `tell` it now and then to hand on what it has learned. `clock` is monotonic."""

    def __init__(self, take: Tell, tables: Tables, clock: Callable[[], float] = time.monotonic) -> None:
        self._take = take
        self._tables = tables
        self._clock = clock
        self._times: dict[TimeOf, Decaying] = {}
        self._answers: dict[str, Decaying] = {}

    def on_line(self, line: Line) -> None:
        """A request has ended."""
        says_all = line.type == "end" and line.attempts and line.flags != RECOVERED
        snapshot = self._tables.snapshot() if says_all else None
        row = snapshot.models.get(line.declared_model) if snapshot else None
        if row is None:
            return
        if row.strategy == "fastest" and line.attempts == 1:
            self._learn_time(line)
        elif row.strategy == "cheapest":
            self._learn_answer(line)

    def on_attempt(self, attempt: Attempt) -> None:
        """A stream without a head in time was at least so slow, for every model there: the line names none."""
        if not attempt.cluster or attempt.duration_ms is None or kind_of(attempt) != "timeout":
            return
        for cluster, model, streams in list(self._times):
            if cluster == attempt.cluster and streams:
                self._add_at_least((cluster, model, streams), attempt.duration_ms)

    def tell(self) -> None:
        """Hand on what is known and fresh, the latest if it is too much."""
        now = self._clock()
        self._times = _fresh(self._times, now)
        self._answers = _fresh(self._answers, now)
        self._take(
            {target: mean.mean() for target, mean in self._times.items()},
            {model: mean.mean() for model, mean in self._answers.items()},
        )

    def _learn_time(self, line: Line) -> None:
        target = _target_of(line, self._tables.tenant(line.tenant or ""))
        if target is None:
            return
        lasted_ms, waited_ms = _since_request(line, line.duration_ms), _since_request(line, line.first_byte_ms)
        if line.streamed:
            if line.status == 200 and line.first_token_ms is not None:
                self._add((*target, True), line.first_token_ms)
            elif line.status in (0, 200, 504) and line.first_token_ms is None and lasted_ms is not None:
                self._add_at_least((*target, True), lasted_ms)
        elif line.status == 200 and waited_ms is not None:
            self._add((*target, False), waited_ms / max(line.completion_tokens or 1, 1))

    def _learn_answer(self, line: Line) -> None:
        tokens = line.completion_tokens
        model = line.declared_model
        if line.status == 200 and tokens is not None and 0 <= tokens <= MOST_TOKENS and model:
            mean = self._answers.pop(model, None) or Decaying(ANSWER_HALF_LIFE_S)
            mean.add(tokens, self._clock())
            self._answers[model] = mean

    def _add(self, target: TimeOf, ms: float) -> None:
        mean = self._times.pop(target, None) or Decaying(HALF_LIFE_S)
        mean.add(min(max(ms, 0.0), LONGEST_MS), self._clock())
        self._times[target] = mean  # behind the others: the one that was used last is the last one

    def _add_at_least(self, target: TimeOf, ms: float) -> None:
        """A wait that ended without a token says something only where it was longer than usual."""
        known = self._times.get(target)
        if known is None or ms > known.mean().value:
            self._add(target, ms)


def _target_of(line: Line, tenant: TenantRow | None) -> tuple[str, str] | None:
    for target in tenant.targets(line.model or "") if tenant else ():
        if (target.provider, target.model, target.key) == (line.target, line.upstream_model, line.provider_key):
            return target.cluster, target.model
    return None


def _since_request(line: Line, until_ms: int | None) -> float | None:
    """From the request's last byte."""
    return None if until_ms is None or line.request_ms is None else max(until_ms - line.request_ms, 0)


def _fresh(means: dict[_Key, Decaying], now: float) -> dict[_Key, Decaying]:
    fresh = [(key, mean) for key, mean in means.items() if now - mean.at < KEPT_S]
    return dict(fresh[-MOST_FIGURES:])
