"""Plans of the database, and limits in their place."""

from collections.abc import Mapping
from typing import Any

from control.store.failures import InUse
from control.store.paging import Page, Wish
from control.store.rows import Rows
from control.store.tables import LimitsRow, PlanRow, TenantRow
from control.store.tenants import TENANTS
from control.store.unit import Reader, Unit
from control.store.values import Limits, LimitsSubject, Plan

PLANS = Rows(Plan, PlanRow, "id")
LIMITS = Rows(Limits, LimitsRow, "tenant_id", "subject", "subject_id")


def find_plan(reader: Reader, plan_id: str) -> Plan | None:
    """None for one that does not exist, or only in gateway.yaml."""
    return PLANS.find(reader, plan_id)


def list_plans(reader: Reader, wish: Wish) -> Page[Plan]:
    """By name."""
    return PLANS.page(reader, wish)


def insert_plan(unit: Unit, plan: Plan) -> Plan:
    """Raises Exists."""
    return PLANS.insert(unit, plan)


def update_plan(unit: Unit, plan: Plan) -> Plan:
    """Raises Missing or Stale."""
    return PLANS.update(unit, plan)


def delete_plan(unit: Unit, plan: Plan) -> Plan:
    """Raises InUse while a tenant of the database has it; Missing or Stale."""
    if unit.row(TENANTS.living(TenantRow.plan == plan.id).limit(1)) is not None:
        raise InUse("tenants have this plan; give them another one first")
    return PLANS.delete(unit, plan, limits={}, pricing=None)


def find_limits(reader: Reader, tenant_id: str, subject: LimitsSubject, subject_id: str) -> Limits | None:
    """None where nothing takes the place of the plan's."""
    return LIMITS.find(reader, tenant_id, subject, subject_id)


def list_limits(reader: Reader, tenant_id: str, wish: Wish) -> Page[Limits]:
    """The tenant's, then its users'."""
    return LIMITS.page(reader, wish, LimitsRow.tenant_id == tenant_id)


def user_limits(reader: Reader, tenant_id: str) -> dict[str, Mapping[str, Any]]:
    """The limits of a tenant's users that have some, by id."""
    rows = LIMITS.all(reader, LimitsRow.tenant_id == tenant_id, LimitsRow.subject == "user")
    return {row.subject_id: row.limits for row in rows}


def insert_limits(unit: Unit, limits: Limits) -> Limits:
    """Raises Exists."""
    return LIMITS.insert(unit, limits)


def update_limits(unit: Unit, limits: Limits) -> Limits:
    """Raises Missing or Stale."""
    return LIMITS.update(unit, limits)


def delete_limits(unit: Unit, limits: Limits) -> Limits:
    """Raises Missing or Stale."""
    return LIMITS.delete(unit, limits, limits={})
