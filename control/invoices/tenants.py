"""What an invoice needs to know of a tenant beside its usage: its name, its limits, and whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control.bounds import plain, plan_document
from control.call import Call
from control.found_tenant import is_being_deleted
from control.store.adapters import base_models
from control.store.deletions import find_deletion
from control.store.keys import limited_keys
from control.store.plans import find_limits, user_limits
from control.store.tenants import find_tenant
from control.store.unit import Reader
from headgate.directory.rows import SHARED
from headgate.limits import LimitsRow
from headgate.tenant_limits import limits_of
from headgate.written_limits import written_limits


@dataclass(frozen=True, slots=True)
class Customer:
    """`name` is what people call it, None if nobody has said; `gone`: why nothing can be billed to it.

    `is_known`: there is such a tenant now. `is_deleted`: it is the id of a deletion, which stands for one.
    `base_models` are those by whose limits its adapters go, and those that it shares.
    """

    tenant: str
    name: str | None
    limits: LimitsRow | None
    gone: str | None = None
    is_known: bool = True
    is_deleted: bool = False
    base_models: Mapping[str, str] = field(default_factory=dict)


def customer_of(call: Call, reader: Reader, tenant: str) -> Customer:
    """A tenant that has used something, or was asked for. One that is in no file any more is still billed."""
    if is_being_deleted(reader, tenant):
        return Customer(tenant, None, None, "the tenant is being deleted")
    if find_deletion(reader, tenant) is not None:
        return Customer(tenant, None, None, "what a deleted tenant has used: nobody is left to bill", is_deleted=True)
    declared, row = call.declared.tenants.get(tenant), find_tenant(reader, tenant)
    if declared is None and row is None:
        return Customer(tenant, None, None, is_known=False)
    plan = declared.plan if declared else row.plan if row else None
    own: Any = declared.limits if declared else find_limits(reader, tenant, "tenant", tenant)
    document = own if declared else plain(own.limits) if own else {}
    callers = {key.name: key.limits for key in declared.keys if key.limits} if declared else {}
    callers |= {
        name: plain(said) for name, said in (limited_keys(reader, tenant) | user_limits(reader, tenant)).items()
    }
    try:
        limits = limits_of(
            written_limits(plan_document(call, reader, plan)),
            written_limits(document),
            {name: written_limits(said) for name, said in callers.items()},
        )
    except ValueError:
        return Customer(tenant, None, None, "the tenant's limits can't be read by this version")
    adapters = base_models(reader, tenant, SHARED)
    bases = {alias: base for alias, base in adapters.items() if alias not in call.declared.models}
    return Customer(tenant, row.display_name if row and not declared else None, limits, base_models=bases)
