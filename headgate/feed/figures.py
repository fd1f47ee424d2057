"""What strategies go by, as a worker knows it: how fast targets are, how busy, how long a model's answers.

Asked without waiting, from memory, and only for models whose strategy needs it. Figures of gateways that nobody hears
any more are forgotten as health is; what is not known is None, and the order then goes by priority and weight.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from headgate.feed.states import FORGET_S

_Key = TypeVar("_Key")

MOST_FIGURES = 500  # of one kind, of one gateway


class Mean(NamedTuple):
    """A mean and how much it is worth: that of so many recent requests."""

    value: float
    weight: float


TimeOf = tuple[str, str, bool]  # a target by cluster and model, and whether for streams


@dataclass(frozen=True, slots=True)
class Known:
    """All that one gateway has to say.

    `times`: of streams the ms until the first byte, of whole answers the ms per output token. `load`: attempts under
    way by cluster, those that are not there have none; None when it was not looked at. `answers`: tokens of an
    answer, by the model that clients ask for.
    """

    times: Mapping[TimeOf, Mean] = field(default_factory=dict)
    load: Mapping[str, int] | None = None
    answers: Mapping[str, Mean] = field(default_factory=dict)


class Figures:
    """Asked by the planner, filled by the subscriber.

    `own` is the worker's gateway: how fast targets are and how long answers, it says best itself, and others only
    where it does not. Load is that of all gateways together. `workers` hear the same and choose alike, so that a
    choice counts for all of them until the next message shows what became of it.
    """

    def __init__(self, own: str | None = None, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._workers = workers
        self._clock = clock
        self._said: dict[str, tuple[float, Known]] = {}
        self._until = 0.0
        self._times: dict[TimeOf, float] = {}
        self._answers: dict[str, float] = {}
        self._load: dict[str, int] | None = None
        self._chosen: dict[str, int] = {}  # since the last message of one's own gateway
        self._counts_for = 1  # how many choose alike

    def time_ms(self, cluster: str, model: str, *, streams: bool) -> float | None:
        """How fast a target was of late."""
        return self._times.get((cluster, model, streams)) if self._clock() < self._until else None

    def answer_tokens(self, model: str) -> float | None:
        """How long answers of a model are on average."""
        return self._answers.get(model) if self._clock() < self._until else None

    def load(self, cluster: str) -> int | None:
        """Attempts under way at a provider, with those that were chosen here since; None when nobody says."""
        if self._load is None or self._clock() >= self._until:
            return None
        return self._load.get(cluster, 0) + self._chosen.get(cluster, 0)

    def choose(self, cluster: str) -> None:
        """One more attempt goes there."""
        if self._load is not None:
            self._chosen[cluster] = self._chosen.get(cluster, 0) + self._counts_for

    def take(self, gateway: str, known: Known) -> None:
        """All that a gateway has to say now."""
        now = self._clock()
        self._said[gateway] = (now + FORGET_S, known)
        self._said = {name: said for name, said in self._said.items() if said[0] > now}
        self._until = now + FORGET_S
        others = [said for name, (_, said) in self._said.items() if name != self._own]
        own = self._said[self._own][1] if self._own in self._said else Known()
        self._times = _means([said.times for said in others]) | _means([own.times])
        self._answers = _means([said.answers for said in others]) | _means([own.answers])
        loads = [said.load for _, said in self._said.values() if said.load is not None]
        self._load = _sums(loads) if loads else None
        self._counts_for = self._workers * max(len(loads), 1)
        if gateway == self._own or self._own not in self._said:
            self._chosen = {}


def _means(said: list[Mapping[_Key, Mean]]) -> dict[_Key, float]:
    """What several say of the same, each by its weight."""
    if len(said) == 1:
        return {key: mean.value for key, mean in said[0].items()}
    weighted: dict[_Key, float] = {}
    weights: dict[_Key, float] = {}
    for means in said:
        for key, mean in means.items():
            weighted[key] = weighted.get(key, 0.0) + mean.value * mean.weight
            weights[key] = weights.get(key, 0.0) + mean.weight
    return {key: weighted[key] / weight for key, weight in weights.items() if weight > 0}


def _sums(loads: list[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for load in loads:
        for cluster, attempts in load.items():
            found[cluster] = found.get(cluster, 0) + attempts
    return found
