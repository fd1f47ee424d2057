"""Where requests for an adapter may come to: one rule for workers, for the part that loads adapters, and for control.

A tenant's adapter is answered by the engines that this tenant's requests for its base model may come to, whether
these are the model's targets or the tenant's own, inside the tenant's zones. One of the platform's belongs to the
model's own engines, and to those of each tenant that is granted it. Pure.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from headgate.directory.rows import SHARED, alias_of
from headgate.snapshot import TargetRow

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Reach(Protocol[T_co]):
    """Targets on engines that load adapters, by whose requests may come to them."""

    def of_tenant(self, tenant: str, model: str) -> Iterable[T_co]:
        """Those of a tenant; none for one that may not use the model, or that there is not."""

    def of_model(self, model: str) -> Iterable[T_co]:
        """Those of the model itself."""

    def granted(self, alias: str) -> Iterable[str]:
        """Tenants that may use that adapter of the platform's."""


def adapter_targets(owner: str, name: str, base_model: str, reach: Reach[T]) -> list[T]:
    """All targets that requests for an adapter may come to, some of them more than once."""
    if owner != SHARED:
        return list(reach.of_tenant(owner, base_model))
    granted = [one for tenant in reach.granted(alias_of(owner, name)) for one in reach.of_tenant(tenant, base_model)]
    return [*reach.of_model(base_model), *granted]


def loading(targets: Iterable[TargetRow]) -> list[TargetRow]:
    """Those of engines that load adapters."""
    return [target for target in targets if target.has_adapters]
