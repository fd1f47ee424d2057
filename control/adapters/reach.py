"""Whose requests come to which engines, as this host's gateway.yaml and the database say now."""

from collections.abc import Iterable

from control.store.plans import find_plan
from control.store.tenants import find_grant, find_tenant, granted_tenants
from control.store.unit import Reader
from headgate.config.zones import reachable, zones_of
from headgate.declared import Declared, DeclaredTarget, DeclaredTenant


class DeclaredReach:
    """As the part `engines` goes by the directory: what gateway.yaml declares of a tenant wins."""

    def __init__(self, declared: Declared, reader: Reader) -> None:
        self._declared, self._reader = declared, reader

    def of_tenant(self, tenant: str, model: str) -> list[DeclaredTarget]:
        """Where its requests for the model may come to, on engines that load adapters."""
        found = self._declared.tenants.get(tenant)
        if found is None:
            return self._of_row(tenant, model)
        return self._reached(found.targets.get(model), model, found) if model in found.models else []

    def of_model(self, model: str) -> list[DeclaredTarget]:
        """Such targets of the model itself."""
        found = self._declared.models.get(model)
        return _loading(found.targets) if found else []

    def granted(self, alias: str) -> Iterable[str]:
        """Tenants that may use that adapter of the platform's."""
        declared = self._declared.tenants
        others = [name for name in granted_tenants(self._reader, alias) if name not in declared]
        return [*(name for name, tenant in declared.items() if alias in tenant.models), *others]

    def _of_row(self, tenant: str, model: str) -> list[DeclaredTarget]:
        row = find_tenant(self._reader, tenant)
        if row is None or find_grant(self._reader, tenant, model) is None:
            return []
        return self._reached(
            None, model, DeclaredTenant(row.plan, list(row.zones) if row.zones is not None else None)
        )

    def _reached(self, own: list[DeclaredTarget] | None, model: str, tenant: DeclaredTenant) -> list[DeclaredTarget]:
        targets = self.of_model(model) if own is None else _loading(own)
        plan = self._declared.plans.get(tenant.plan) if tenant.plan else None
        row = find_plan(self._reader, tenant.plan) if tenant.plan and plan is None else None
        of_plan = plan.zones if plan else row.zones if row else None
        return reachable(targets, zones_of(of_plan, tenant.zones), lambda target: target.zone)


def _loading(targets: Iterable[DeclaredTarget]) -> list[DeclaredTarget]:
    return [target for target in targets if target.max_lora_rank]
