"""Where a model's targets stand: under the model, and under tenants that have their own. No IO."""

from collections import defaultdict
from typing import Any

from headgate.config.model import Gateway, Target
from headgate.config.shape import children_of
from headgate.config.wording import KeyPath


def own_chains(root: dict[str, Any]) -> dict[object, list[KeyPath]]:
    """Tenants' own lists of targets by the model that they are for."""
    found: dict[object, list[KeyPath]] = defaultdict(list)
    for tenant, _ in children_of(root, ("tenants",)):
        for path, _ in children_of(root, (*tenant, "targets")):
            found[path[-1]].append(path)
    return found


def chains_of(gateway: Gateway, name: str) -> list[list[Target]]:
    """The targets of a model, and those that tenants have of their own for it."""
    own = [one.targets[name] for one in gateway.tenants.values() if name in one.targets]
    return [gateway.models[name].targets, *own]
