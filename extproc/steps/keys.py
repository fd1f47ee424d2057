"""The keys of a target: which one a request goes with, and which others may be asked after it.

A target of a provider with several keys comes as one row for each (`TargetRow.pool`). To strategies it is one target,
that of its first key; what limits or breaks another target has nothing to do with its keys. No IO.
"""

import random
from collections.abc import Callable

from extproc.exchange import Exchange
from extproc.steps.order import Targets, states_of
from headgate.feed.states import State
from headgate.snapshot import TargetRow

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


def choose_keys(exchange: Exchange, targets: Targets, draw: random.Random = _random) -> Targets:
    """Of each target the row of one key: of the best state, drawn by weight. Fills `pools` and `spare_keys`."""
    pools: dict[int, Targets] = {}
    found: Targets = []
    for target in targets:
        if not target.pool:
            found.append(target)
        elif rows := pools.get(target.pool):
            rows.append(target)
        else:
            pools[target.pool] = [target]
            found.append(target)
    exchange.pools = pools
    for index, target in enumerate(found):
        if target.pool:
            found[index], *exchange.spare_keys[target.pool] = _drawn(exchange, pools[target.pool], draw)
    return found


def spare_keys(exchange: Exchange, target: TargetRow) -> Targets:
    """The further keys of a target that were in the same state as the chosen one."""
    return exchange.spare_keys.get(target.pool, [])


def without(exchange: Exchange, is_out: Callable[[TargetRow], bool]) -> Targets:
    """The exchange's targets but for the rows that are out; in the place of a chosen key its target's next one."""
    found: Targets = []
    for target in exchange.targets:
        spare, rows = exchange.spare_keys.get(target.pool, []), exchange.pools.get(target.pool, [])
        left = [row for row in dict.fromkeys((target, *spare, *rows)) if not is_out(row)]
        if left:
            found.append(left[0])
        if target.pool:
            exchange.spare_keys[target.pool] = [row for row in left[1:] if row in spare]
    return found


def _drawn(exchange: Exchange, rows: Targets, draw: random.Random) -> Targets:
    """Those in the best state; behind good ones those that are low.

    Of exponential times at these rates, each is the first as often as its weight says.
    """
    states = states_of(exchange, rows)
    best = max(min(states), State.LOW)
    good = [(state, row) for row, state in zip(rows, states, strict=True) if state <= best]
    if len(good) > 1:
        good.sort(key=lambda pair: (pair[0], draw.expovariate(pair[1].key_weight)))
    return [row for _, row in good]
