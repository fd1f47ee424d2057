"""The order of targets that can do what is asked: by state first, among those of one state by the model's strategy.

A reason to leave a target alone for a while is a matter of its state (`state_of`), whatever the strategy. Strategies
only rank: they leave nothing out, and where their figures are missing they go by priority and weight. No IO.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from extproc.exchange import Exchange
from extproc.steps.cost import costs_of, need_of
from extproc.steps.spread import is_lacking
from headgate.feed.states import State
from headgate.snapshot import TargetRow

Targets = list[TargetRow]

NEAR = 1.1  # times the fastest one's: so much is no difference worth all requests
EXPLORED = 0.05  # of requests go first to a target that is not the fastest, so that its figure can change

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


def in_order(exchange: Exchange, targets: Targets) -> Targets:
    """All of them, most preferred first. Drawn here: Envoy would draw when a body is written already."""
    if len(targets) == 1:
        return targets
    rank = _STRATEGIES[exchange.row.strategy]
    states = states_of(exchange, targets)
    if min(states) == max(states):
        return rank(exchange, targets)
    found: Targets = []
    for state in sorted(set(states)):
        found += rank(exchange, [target for target, its in zip(targets, states, strict=True) if its == state])
    return found


def states_of(exchange: Exchange, targets: Targets) -> list[int]:
    """How good each of them is now; 0 is good. The place for every reason to rest one."""
    return [
        exchange.state_of(target.cluster, target.model)
        or (target.engine and exchange.is_full(target.engine) and State.SATURATED)
        or (is_lacking(exchange, target) and State.SATURATED)
        or _is_low(exchange, target)
        for target in targets
    ]


def _is_low(exchange: Exchange, target: TargetRow) -> int:
    """Of a good one: whether it has said that little is left of its provider's limits."""
    if not exchange.allowances.knows(target.cluster, target.model):
        return State.OK
    low = exchange.allowances.is_low(target.cluster, target.model, need_of(exchange, target))
    return State.LOW if low else State.OK


def note_first(exchange: Exchange, first: TargetRow) -> None:
    """Tell those who choose next that this one is chosen, where they go by how busy targets are or what is left."""
    if exchange.row.strategy == "least_busy":
        exchange.figures.choose(first.cluster)
    if exchange.allowances.knows(first.cluster, first.model):
        exchange.allowances.choose(first.cluster, first.model, need_of(exchange, first))


def by_priority(targets: Iterable[TargetRow], draw: random.Random = _random) -> Targets:
    """The lowest priority first; among equals by weight."""
    found: Targets = []
    for _, equals in groupby(sorted(targets, key=_priority), _priority):
        found += by_weight(equals, draw)
    return found


def by_weight(targets: Iterable[TargetRow], draw: random.Random = _random) -> Targets:
    """Drawn: each is first as often as its weight says."""
    left = list(targets)
    found: Targets = []
    while len(left) > 1:
        (index,) = draw.choices(range(len(left)), weights=[target.weight for target in left])
        found.append(left.pop(index))
    return found + left


def by_cost(targets: Targets, costs: Sequence[float], draw: random.Random = _random) -> Targets:
    """The lowest cost first; among equals by priority, then by weight."""
    found: Targets = []
    costly = sorted(zip(costs, targets, strict=True), key=_first)
    for _, equals in groupby(costly, _first):
        found += by_priority([target for _, target in equals], draw)
    return found


def by_speed(targets: Targets, times: Sequence[float | None], draw: random.Random = _random) -> Targets:
    """The fastest first, then the slower ones, then those of which nothing is known.

    Those that are nearly as fast as the fastest are equals, drawn by weight. A small share of requests goes first to
    one of the others, drawn by weight, and to one of the unknown as long as there are some.
    """
    known = sorted([(ms, target) for ms, target in zip(times, targets, strict=True) if ms is not None], key=_first)
    unknown = by_priority([target for ms, target in zip(times, targets, strict=True) if ms is None], draw)
    if not known:
        return unknown
    limit = known[0][0] * NEAR
    fastest = by_weight([target for ms, target in known if ms <= limit], draw)
    slower = [target for ms, target in known if ms > limit]
    explored = unknown or slower
    if explored and draw.random() < EXPLORED:
        first = by_weight(explored, draw)[0]
        return [first, *(target for target in (*fastest, *slower, *unknown) if target is not first)]
    return [*fastest, *slower, *unknown]


def by_load(targets: Targets, loads: Sequence[float], draw: random.Random = _random) -> Targets:
    """First the less busy one of two that are drawn, then the others as busy as they are.

    Whoever looks at the same figures would choose the same least busy one; of two drawn at random they do not.
    """
    capacities = [target.weight * target.endpoints for target in targets]
    busy = [(load + 1) / capacity for load, capacity in zip(loads, capacities, strict=True)]
    one, other = _two(capacities, draw)
    first = min((one, other), key=busy.__getitem__)
    rest = sorted((index for index in range(len(targets)) if index != first), key=busy.__getitem__)
    return [targets[index] for index in (first, *rest)]


def _two(weights: list[int], draw: random.Random) -> tuple[int, int]:
    """Two different ones, by weight."""
    indexes = range(len(weights))
    (one,) = draw.choices(indexes, weights=weights)
    (other,) = draw.choices(indexes, weights=[0 if index == one else weights[index] for index in indexes])
    return one, other


def _cheapest(exchange: Exchange, targets: Targets) -> Targets:
    costs = costs_of(exchange, targets)
    return by_priority(targets) if costs is None else by_cost(targets, costs)


def _fastest(exchange: Exchange, targets: Targets) -> Targets:
    streams = exchange.document.get("stream") is True
    return by_speed(targets, [_time_ms(exchange, target, streams=streams) for target in targets])


def _least_busy(exchange: Exchange, targets: Targets) -> Targets:
    loads = [load for target in targets if (load := _load(exchange, target)) is not None]
    return by_load(targets, loads) if len(loads) == len(targets) > 1 else by_priority(targets)


def _time_ms(exchange: Exchange, target: TargetRow, *, streams: bool) -> float | None:
    """With the key that was chosen; as long as nothing is known of that, with the target's other ones."""
    of = exchange.figures.time_ms
    own = of(target.cluster, target.model, streams=streams)
    if own is not None or not target.pool:
        return own
    rows = exchange.pools.get(target.pool, ())
    known = [ms for row in rows if (ms := of(row.cluster, row.model, streams=streams)) is not None]
    return sum(known) / len(known) if known else None


def _load(exchange: Exchange, target: TargetRow) -> int | None:
    """Attempts under way at the target's provider, with whichever key."""
    own = exchange.figures.load(target.cluster)
    if own is None or not target.pool:
        return own
    return sum(exchange.figures.load(row.cluster) or 0 for row in exchange.pools.get(target.pool, (target,)))


def _priority(target: TargetRow) -> int:
    return target.priority


def _first(pair: tuple[float, TargetRow]) -> float:
    return pair[0]


_STRATEGIES: dict[str, Callable[[Exchange, Targets], Targets]] = {
    "order": lambda _exchange, targets: by_priority(targets),
    "weighted": lambda _exchange, targets: by_weight(targets),
    "cheapest": _cheapest,
    "fastest": _fastest,
    "least_busy": _least_busy,
}
