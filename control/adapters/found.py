"""What there is of adapters, to routes: whose they are, and of which model they may be."""

from collections.abc import Collection

from control.adapters.reach import DeclaredReach
from control.call import Call
from control.found_tenant import changeable_tenant, tenant_of
from control.problems import conflict, not_found
from control.store.adapters import adapters_of, find_adapter
from control.store.tenants import find_grant
from control.store.unit import Reader
from control.store.values import Adapter
from headgate.adapter_targets import adapter_targets
from headgate.declared import DeclaredTarget
from headgate.directory.rows import SHARED, alias_of, is_shared

MOST_ADAPTERS = 1000  # of a tenant
MOST_VERSIONS = 200  # of an adapter, retired ones too


def adapter_of(call: Call, reader: Reader, name: str) -> Adapter:
    """The one in the path. Raises Problem (404)."""
    found = find_adapter(reader, check_owner(call, reader), name)
    if found is None:
        raise not_found("adapter")
    return found


def check_owner(call: Call, reader: Reader, *, changes: bool = False) -> str:
    """Whose adapters the path is about: a tenant that there is, or the platform. Raises Problem."""
    owner = call.asker.tenant or ""
    if owner != SHARED:
        (changeable_tenant if changes else tenant_of)(call, reader)
    return owner


def check_base(call: Call, reader: Reader, owner: str, name: str, base_model: str) -> list[DeclaredTarget]:
    """The targets that load an adapter of that model, where requests for it may come to. Raises Problem (409)."""
    if base_model not in call.declared.models or (owner != SHARED and not _may_use(call, reader, owner, base_model)):
        raise conflict("unknown_model", f"{owner} has no model {base_model}")
    targets = adapter_targets(owner, name, base_model, DeclaredReach(call.declared, reader))
    if not targets:
        raise conflict("no_engine", no_engine(owner, base_model))
    if (alias := alias_of(owner, name)) in call.declared.models:
        raise conflict("exists", f"{alias} is a model of gateway.yaml")
    return targets


def no_engine(owner: str, base_model: str) -> str:
    """Where there is no such target."""
    return f"no engine that {owner} reaches for the model {base_model} loads adapters: max_loras in gateway.yaml"


def is_shared_adapter(reader: Reader, alias: str) -> bool:
    """Whether it is one of the platform's, by what clients call it."""
    owner, _, name = alias.partition("/")
    return is_shared(alias) and find_adapter(reader, owner, name) is not None


def own_aliases(reader: Reader, tenant: str) -> Collection[str]:
    """What clients call the tenant's own adapters."""
    return {adapter.alias for adapter in adapters_of(reader, tenant)}


def _may_use(call: Call, reader: Reader, tenant: str, model: str) -> bool:
    declared = call.declared.tenants.get(tenant)
    return model in declared.models if declared else find_grant(reader, tenant, model) is not None
