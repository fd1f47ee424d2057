"""Residency: which targets a tenant may reach. Nothing else may widen the answer. No IO.

Workers ask it too, for tenants of the directory: nothing is loaded here that they do not have.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

T = TypeVar("T")


def zones_of(plan: Collection[str] | None, tenant: Collection[str] | None) -> frozenset[str] | None:
    """The zones that both a plan and a tenant allow; None is every zone."""
    if plan is None or tenant is None:
        given = tenant if plan is None else plan
        return None if given is None else frozenset(given)
    return frozenset(plan) & frozenset(tenant)


def reachable(targets: Iterable[T], zones: Collection[str] | None, zone_of: Callable[[T], str]) -> list[T]:
    """Those of the targets that are in one of the zones, in their order; None is every zone."""
    return [target for target in targets if zones is None or zone_of(target) in zones]
