"""What a run measures, and how much of it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.scenarios import SCENARIOS

BUDGETS = "budgets"  # the table of what the project holds itself to

Progress = Callable[[str, float], None]  # what runs now, and how much of the run is done (0 to 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each scenario loads each way, in seconds, how long it does before that to warm it, and how often."""

    rounds: int = 3
    seconds: float = 4.0
    warm_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """How much of everything. `short` and `long` are content chunks per stream.

    With `translations`, streams of every other API are measured, and responses; without, those of the first API.
    `only` has what is measured: the budgets, and scenarios by name, which are asked of the gateways `against` us too.
    """

    rounds: int = 7
    interval_s: float = 0.01
    streams: int = 32
    short: int = 60
    long: int = 300
    requests: int = 3000
    connections: int = 64
    latency_requests: int = 500
    starts: int = 3
    idle_s: float = 5.0
    translations: bool = False
    only: frozenset[str] = frozenset((BUDGETS, *SCENARIOS))
    against: tuple[str, ...] = ()
    plan: Plan = field(default_factory=Plan)


QUICK = Options(
    rounds=2,
    long=240,
    requests=1000,
    latency_requests=200,
    starts=1,
    idle_s=1.0,
    plan=Plan(rounds=1, seconds=1.0, warm_s=0.3),
)
