"""Adapters as tenants call them: which ones a tenant may use, and where a request for one may go. Pure.

A tenant has its own of models that it may use and, of the platform's, those that it is granted, whether it may use
the base model by itself or not; each where it reaches an engine of that model: an adapter is never answered by
anything else. A model of gateway.yaml keeps its name.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from headgate.adapter_targets import loading
from headgate.directory.directory import Adapter, Directory
from headgate.directory.rows import SHARED
from headgate.snapshot import AliasRow, TargetRow, TenantRow, VersionRow
from headgate.tenant_rows import Chains, targets_inside


def aliases_of(tenant: str, row: TenantRow, directory: Directory, chains: Chains) -> dict[str, AliasRow]:
    """Those with a live version, by what clients call them; `chains` are those of gateway.yaml's models."""
    own = directory.adapters(tenant) if tenant != SHARED else []
    shared = [one for one in directory.adapters(SHARED) if one.entry.alias in row.shared] if row.shared else []
    some = [one for one in (*own, *shared) if one.entry.alias not in chains]
    found = {one.entry.alias: _alias_row(one, row, chains) for one in some}
    return {alias: made for alias, made in found.items() if made.targets}


def _alias_row(adapter: Adapter, row: TenantRow, chains: Chains) -> AliasRow:
    entry = adapter.entry
    live = [one for one in adapter.versions if one.state == "live" and one.weight]
    targets = row.models.get(entry.base_model)
    if targets is None and entry.tenant == SHARED:
        targets = targets_inside(chains.get(entry.base_model, ()), row.zones)
    engines = loading(targets or ())
    return AliasRow(
        base_model=entry.base_model,
        owner=entry.tenant,
        versions=tuple(VersionRow(one.engine_name, one.weight or 0) for one in live),
        targets=[target for one in live for target in _asking_for(one.engine_name, engines)],
        created=int(min((one.live_at or 0 for one in live), default=0)),
    )


def _asking_for(engine_name: str, engines: list[TargetRow]) -> Iterator[TargetRow]:
    """Variants are the base model's: of an adapter its versions share the requests."""
    for target in engines:
        yield replace(target, model=engine_name, base=target.model, variant=None)
