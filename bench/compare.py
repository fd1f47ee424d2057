"""All scenarios by all ways to the upstream, in turns: round by round, scenario by scenario, way after way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from threading import Event, Thread

import msgspec

from bench import meter
from bench.batch import Batch, Outcome
from bench.child import Child
from bench.figures import Figures, figures_of
from bench.options import Plan, Progress
from bench.scenarios import Scenario
from bench.subject import Subject

_LONGEST_S = 300.0  # that an answer may take beyond the time given: 256 streams take LiteLLM more than one minute
_WATCHED_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures by scenario and way, one per round."""

    figures: Mapping[str, Mapping[str, list[Figures]]]

    @property
    def errors(self) -> dict[str, int]:
        """What was answered wrongly, and how often; by `scenario, way: text`."""
        found: dict[str, int] = {}
        for scenario, ways in self.figures.items():
            for way, rounds in ways.items():
                for text, count in (one for figures in rounds for one in figures.errors.items()):
                    name = f"{scenario}, {way}: {text}"
                    found[name] = found.get(name, 0) + count
        return found


def compare(
    plan: Plan, scenarios: Sequence[Scenario], ways: Sequence[Subject], client: Child, progress: Progress
) -> Comparison:
    """Load each way with each scenario that is possible for it."""
    turns = [
        (scenario, way)
        for _, scenario, way in product(range(plan.rounds), scenarios, ways)
        if scenario.possible_for(way)
    ]
    found: dict[str, dict[str, list[Figures]]] = {}
    for number, (scenario, way) in enumerate(turns):
        progress(f"{scenario.name}, {way.name}", number / len(turns))
        warmed(client, way, scenario, plan.warm_s)
        figures = measured(client, way, scenario, plan.seconds)
        found.setdefault(scenario.name, {}).setdefault(way.name, []).append(figures)
    return Comparison(found)


def _batch(scenario: Scenario, way: Subject, seconds: float) -> Batch:
    return Batch(
        way.port,
        scenario.asks(way),
        within_s=seconds + _LONGEST_S,
        connections=scenario.connections,
        seconds=seconds,
        rate=scenario.rate,
    )


def warmed(client: Child, way: Subject, scenario: Scenario, seconds: float) -> None:
    """Load it, whatever comes of it."""
    _load(client, _batch(scenario, way, seconds))


def measured(client: Child, way: Subject, scenario: Scenario, seconds: float) -> Figures:
    """Load it for so many seconds."""
    batch = _batch(scenario, way, seconds)
    with _watched(way) as most:
        outcome, spent = way.spent(lambda: _load(client, batch))
    return figures_of(outcome, spent, most.memory, most.sockets)


def _load(client: Child, batch: Batch) -> Outcome:
    return msgspec.json.decode(client.ask(msgspec.json.encode(batch)), type=Outcome)


@dataclass(slots=True)
class _Most:
    memory: int = 0
    sockets: int = 0
    ended: Event = field(default_factory=Event)


@contextmanager
def _watched(way: Subject) -> Iterator[_Most]:
    """The most memory and sockets that its processes have while the context lasts."""
    most, pids = _Most(), [pid for some in way.pids.values() for pid in some]

    def watch() -> None:
        while not most.ended.wait(_WATCHED_EVERY_S):
            most.memory = max(most.memory, sum(map(meter.pss_bytes, pids)))
            most.sockets = max(most.sockets, sum(map(meter.sockets, pids)))

    thread = Thread(target=watch, name="bench-watch")
    thread.start()
    try:
        yield most
    finally:
        most.ended.set()
        thread.join()
