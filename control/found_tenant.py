"""What tenants are, to routes: of gateway.yaml, of the database, or none. Looked up in one place."""

from dataclasses import dataclass

from control.call import Call
from control.problems import conflict, not_found
from control.store.erasure import unfinished_deletions
from control.store.tenants import find_tenant
from control.store.unit import Reader
from control.store.values import Tenant
from headgate.declared import DeclaredTenant


@dataclass(frozen=True, slots=True)
class Found:
    """A tenant. What gateway.yaml declares holds; its row, if there is one, is in its shadow."""

    id: str
    declared: DeclaredTenant | None
    row: Tenant | None

    @property
    def is_deleting(self) -> bool:
        """Its data is being removed."""
        return self.declared is None and self.row is not None and self.row.deleting_at is not None


def tenant_of(call: Call, reader: Reader) -> Found:
    """The one in the path. Raises Problem (404)."""
    name = call.asker.tenant or ""
    declared, row = call.declared.tenants.get(name), find_tenant(reader, name)
    if declared is None and row is None:
        raise not_found("tenant")
    return Found(name, declared, row)


def changeable_tenant(call: Call, reader: Reader) -> Found:
    """The same, for what is to be written below it. Raises Problem, also while it is being deleted."""
    found = tenant_of(call, reader)
    if found.is_deleting or is_being_deleted(reader, found.id):
        raise conflict("tenant_deleting", "this tenant is being deleted")
    return found


def is_being_deleted(reader: Reader, name: str) -> bool:
    """Whether a deletion of that name has not finished: what is made now would go with it."""
    return any(deletion.tenant_id == name for deletion in unfinished_deletions(reader))
