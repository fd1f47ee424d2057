"""Tenants of the database, and the models they may use. What gateway.yaml says is not known here."""

from control.store.paging import Page, Wish
from control.store.rows import Rows
from control.store.tables import GrantRow, TenantRow
from control.store.unit import Reader, Unit
from control.store.values import Grant, Tenant

TENANTS = Rows(Tenant, TenantRow, "id")
GRANTS = Rows(Grant, GrantRow, "tenant_id", "model")


def find_tenant(reader: Reader, tenant_id: str) -> Tenant | None:
    """None for one that does not exist, or only in gateway.yaml."""
    return TENANTS.find(reader, tenant_id)


def list_tenants(
    reader: Reader, wish: Wish, *, plan: str | None = None, disabled: bool | None = None
) -> Page[Tenant]:
    """By name."""
    conditions = []
    if plan is not None:
        conditions.append(TenantRow.plan == plan)
    if disabled is not None:
        conditions.append(TenantRow.disabled == disabled)
    return TENANTS.page(reader, wish, *conditions)


def insert_tenant(unit: Unit, tenant: Tenant) -> Tenant:
    """Raises Exists."""
    return TENANTS.insert(unit, tenant)


def update_tenant(unit: Unit, tenant: Tenant) -> Tenant:
    """Raises Missing or Stale."""
    return TENANTS.update(unit, tenant)


def list_grants(reader: Reader, tenant_id: str) -> tuple[Grant, ...]:
    """By model."""
    return GRANTS.all(reader, GrantRow.tenant_id == tenant_id)


def granted_tenants(reader: Reader, model: str) -> tuple[str, ...]:
    """Tenants that were granted it here, by name."""
    return tuple(grant.tenant_id for grant in GRANTS.all(reader, GrantRow.model == model))


def insert_grant(unit: Unit, grant: Grant) -> Grant:
    """Raises Exists."""
    return GRANTS.insert(unit, grant)


def delete_grant(unit: Unit, grant: Grant) -> Grant:
    """Raises Missing or Stale."""
    return GRANTS.delete(unit, grant)


def find_grant(reader: Reader, tenant_id: str, model: str) -> Grant | None:
    """None for a model that the tenant was not granted here."""
    return GRANTS.find(reader, tenant_id, model)
