"""Whose requests come to which engines, as the tables and the directory say: what adapters are loaded by. No IO."""

from collections.abc import Iterable

from headgate.adapter_targets import loading
from headgate.snapshot import Snapshot, TargetRow
from headgate.tenants import Followed, Tenants


class TenantsReach:
    """Of one snapshot, with a directory that goes on changing. A tenant that is disabled keeps what it has."""

    def __init__(self, snapshot: Snapshot, following: Followed) -> None:
        self._chains = snapshot.chains
        self._tenants = Tenants(snapshot, following)

    def of_tenant(self, tenant: str, model: str) -> list[TargetRow]:
        """Where its requests for the model may come to, on engines that load adapters."""
        row = self._tenants.known(tenant)
        return loading(row.models.get(model, ())) if row else []

    def of_model(self, model: str) -> list[TargetRow]:
        """Such targets of the model itself."""
        return loading(one.target for one in self._chains.get(model, ()))

    def granted(self, alias: str) -> Iterable[str]:
        """Tenants that may use that adapter of the platform's."""
        return self._tenants.granted(alias)
