"""Where requests can be hedged: between replicas of one provider. Elsewhere `hedge` is a mistake.

Works on any tree: what has the wrong shape is passed over, `shape` reports it. No IO.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from headgate.config.chains import own_chains
from headgate.config.shape import Finding, children_of, value_at
from headgate.config.values import duration
from headgate.config.wording import KeyPath, found, quoted

_IDLE = "60s"  # as in `Timeouts`


def unusable_hedges(root: dict[str, Any]) -> Iterator[Finding]:
    """A `hedge` that has nowhere to go, or no effect."""
    own = own_chains(root)
    for path, model in children_of(root, ("models",)):
        if not isinstance(model, dict) or "hedge" not in model:
            continue
        at = (*path, "hedge")
        yield from _chain(root, at, (*path, "targets"))
        for chain in own.get(path[-1], ()):
            yield from _chain(root, chain, chain)
        yield from _attempts(at, model)
        yield from _times(path, model)


def _chain(root: dict[str, Any], at: KeyPath, chain: KeyPath) -> Iterator[Finding]:
    targets = value_at(root, chain)
    if not isinstance(targets, list) or not targets:
        return
    if len(targets) > 1:
        yield Finding(at, f"hedging is between replicas of one target, found {len(targets)} targets")
        return
    name = value_at(root, (*chain, 0, "provider"))
    provider = value_at(root, ("providers", name)) if isinstance(name, str) else None
    if not isinstance(provider, dict):
        return
    if "api_keys" in provider:
        yield Finding(at, f"hedging is with one key, and provider {quoted(str(name))} has api_keys")
        return
    endpoints = provider.get("endpoints")
    if not isinstance(endpoints, list) or len(endpoints) < 2:
        yield Finding(at, f"hedging needs two endpoints or more, provider {quoted(str(name))} has one address")


def _attempts(at: KeyPath, model: dict[str, Any]) -> Iterator[Finding]:
    if model.get("max_attempts") == 1:
        yield Finding(at, "a hedge is a second attempt, and max_attempts is 1")
    if model.get("retry_on") == []:
        yield Finding(at, "a hedge is a second attempt, and retry_on: [] allows none")


def _times(path: KeyPath, model: dict[str, Any]) -> Iterator[Finding]:
    timeouts = model.get("timeouts", {})
    if not isinstance(timeouts, dict):
        return
    if "headers" in timeouts:
        text = 'has no effect with "hedge": a stream whose attempts are silent ends after timeouts.idle'
        yield Finding((*path, "timeouts", "headers"), text)
    with suppress(ValueError):
        hedge_s, idle_s = duration(model["hedge"]), duration(timeouts.get("idle", _IDLE))
        if hedge_s >= idle_s:
            yield Finding((*path, "hedge"), f"expected less than timeouts.idle, found {found(model['hedge'])}")
