"""Problems of queues: models whose targets are on no engine, waits that nobody could wait for.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import duration
from headgate.config.wording import KeyPath, found

MAX_WAIT_S = 600  # the limiter's call is longer (headgate/edge/filters.py)


def unusable_queues(root: dict[str, Any]) -> Iterator[Finding]:
    """A `queue` that nothing would ever stand in, or for too long."""
    own = own_chains(root)
    for path, model in children_of(root, ("models",)):
        queue = model.get("queue") if isinstance(model, dict) else None
        if not isinstance(queue, dict):
            continue
        chains = ((*path, "targets"), *own.get(path[-1], ()))
        if not any(_has_engine(root, chain) for chain in chains):
            yield Finding((*path, "queue"), "is for models with a target on one of the engines")
        with suppress(ValueError):  # what is no duration has a finding of its own
            if "max_wait" in queue and duration(queue["max_wait"]) > MAX_WAIT_S:
                yield Finding((*path, "queue", "max_wait"), f"expected at most 10m, found {found(queue['max_wait'])}")


def _has_engine(root: dict[str, Any], chain: KeyPath) -> bool:
    engines = root.get("engines")
    names = [value_at(root, (*path, "provider")) for path, _ in children_of(root, chain)]
    return isinstance(engines, dict) and any(isinstance(name, str) and name in engines for name in names)
