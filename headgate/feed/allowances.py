"""What providers say is left of their limits, as a worker knows it: whether a target should be spared for now.

A provider says it on its answers, the ledger tells all gateways. What was chosen since is counted here, for all
workers that hear the same, so that a burst does not run into a limit before the next answer says so. When a limit
resets, all of it counts as left again, until a provider says otherwise or nobody has spoken of it for a minute. What
nobody speaks of is not low.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

Kind = Literal["requests", "tokens", "input-tokens", "output-tokens"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SHARE = 0.05  # of a limit: with less than this left, other targets come first
LONGEST_RESET_S = 3600.0
AFTER_RESET_S = 60.0
_CHOICE_S = 0.05  # choices within this time are counted together, as if all of them were made at its end
_MOST_CHOICES = 2_000  # of one target


@dataclass(frozen=True, slots=True)
class Left:
    """What a provider said `age_s` ago of one limit of a model. `resets_in_s` from now; `limit` None: not said."""

    cluster: str
    model: str
    kind: Kind
    limit: int | None
    left: int
    resets_in_s: float
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Need:
    """What one request takes: its prompt and what may be generated, in tokens."""

    input: int
    output: int

    def of(self, kind: Kind) -> int:
        """Of a limit of this kind."""
        if kind == "requests":
            return 1
        return {"tokens": self.input + self.output, "input-tokens": self.input}.get(kind, self.output)


@dataclass(frozen=True, slots=True)
class _Said:
    """One limit; `at` and `until` are on the worker's clock. `is_guess`: it was reset, nobody has spoken since."""

    limit: int | None
    left: int
    at: float
    until: float
    is_guess: bool = False


@dataclass(slots=True)
class _Target:
    said: dict[Kind, _Said] = field(default_factory=dict)
    chosen: "deque[tuple[float, Need, int]]" = field(default_factory=deque)  # when, what, how many requests


class Allowances:
    """Asked by the planner, filled by the subscriber. `workers` choose alike. `clock` is monotonic, in seconds."""

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._targets: dict[tuple[str, str], _Target] = {}

    def knows(self, cluster: str, model: str) -> bool:
        """Whether anything was said of a target."""
        return (cluster, model) in self._targets

    def is_low(self, cluster: str, model: str, need: Need) -> bool:
        """Whether a target has little left, or less than the request needs."""
        target = self._targets.get((cluster, model))
        if target is None:
            return False
        now = self._clock()
        target.said = {kind: turned for kind, said in target.said.items() if (turned := _turned(said, now))}
        if not target.said:
            del self._targets[cluster, model]
        return any(self._is_low(target, kind, said, need) for kind, said in target.said.items())

    def choose(self, cluster: str, model: str, need: Need) -> None:
        """One more request goes there."""
        target = self._targets.get((cluster, model))
        if target is None:
            return
        at, chosen = (self._clock() // _CHOICE_S + 1) * _CHOICE_S, target.chosen
        if chosen and chosen[-1][0] == at:
            _, sum_of, number = chosen.pop()
            chosen.append((at, Need(sum_of.input + need.input, sum_of.output + need.output), number + 1))
        else:
            chosen.append((at, need, 1))
        if len(chosen) > _MOST_CHOICES:
            chosen.popleft()

    def take(self, some: Iterable[Left]) -> None:
        """What providers said of late. An older word changes nothing."""
        now = self._clock()
        for one in some:
            target = self._targets.setdefault((one.cluster, one.model), _Target())
            at, before = now - one.age_s, target.said.get(one.kind)
            if before and before.at > at:
                continue
            until = now + min(one.resets_in_s, LONGEST_RESET_S)
            target.said[one.kind] = _Said(one.limit, one.left, at, until)
            first = min(said.at for said in target.said.values())
            while target.chosen and target.chosen[0][0] < first:
                target.chosen.popleft()

    def _is_low(self, target: _Target, kind: Kind, said: _Said, need: Need) -> bool:
        needed = need.of(kind)
        used = sum(
            number if kind == "requests" else some.of(kind) for at, some, number in target.chosen if at >= said.at
        )
        return said.left - used * self._workers < max(needed, (said.limit or 0) * SHARE)


def _turned(said: _Said, now: float) -> _Said | None:
    """As it is now: all of the limit is left again once it was reset, and nothing is known long after that."""
    if now < said.until:
        return said
    if said.limit is None or said.is_guess or now - said.until > AFTER_RESET_S:
        return None
    return replace(said, left=said.limit, at=said.until, until=said.until + AFTER_RESET_S, is_guess=True)
