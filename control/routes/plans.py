"""`/plans`: those of gateway.yaml, which are read-only here, and those of the database."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from control.bounds import plain
from control.call import Called, Done, nothing, shown
from control.fields import UNSAID, Body, DisplayName, Name, Names, Shown, Time
from control.limits_in import PlanDocument, stored
from control.lists import MOST_ON_A_PAGE, After, Limit, by_name
from control.masking import text_of
from control.pricing_in import PricingDocument, checked_pricing
from control.problems import managed_by_file, not_found
from control.routing import Routes
from control.store.paging import Wish
from control.store.plans import delete_plan, find_plan, insert_plan, list_plans, update_plan
from control.store.values import Plan as Row
from headgate.declared import DeclaredPlan

routes = Routes("plans")


class Plan(Shown):
    """What tenants have in common; `zones` null is every zone, `pricing` null the models' prices."""

    id: str
    display_name: str
    limits: dict[str, Any]
    zones: list[str] | None
    pricing: dict[str, Any] | None
    created_at: Time | None
    updated_at: Time | None
    managed_by: Literal["file", "database"]


class Plans(Shown):
    """Some plans, and the cursor of the next ones."""

    data: list[Plan]
    next: str | None


class NewPlan(Body):
    """A plan to be. A limit that is not given is no limit."""

    id: Name
    display_name: DisplayName | None = None
    limits: PlanDocument = Field(default={})
    zones: Names | None = None
    pricing: PricingDocument | None = None


class PlanChange(Body):
    """What is to be another; what is not named stays. `limits` takes the place of all of them, so does `pricing`."""

    display_name: DisplayName = UNSAID
    limits: PlanDocument = UNSAID
    zones: Names | None = UNSAID
    pricing: PricingDocument | None = UNSAID


@routes.serve("GET", "/plans", "platform.plans.read", Plans, fails=(400,))
def read_plans(call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By name."""
    declared = call.declared.plans
    with call.read() as reader:
        page = by_name(
            "plans",
            declared,
            declared,
            Wish(limit, after),
            lambda wish: list_plans(reader, wish),
            lambda row: row.id,
        )
    data = [_of_file(one, declared[one]) if isinstance(one, str) else _of_row(one) for one in page.items]
    return shown(Plans(data=data, next=page.next)).response()


@routes.serve("POST", "/plans", "platform.plans.write", Plan, status=201)
def create_plan(call: Called, body: NewPlan) -> Response:
    """A plan of the database."""
    said = checked_pricing(body.model_dump(), call.declared.models)
    said["limits"] = stored(body.limits, "plan", call.declared.models)

    def make(unit: Any) -> Done:
        if body.id in call.declared.plans:
            raise managed_by_file(f"plans.{body.id}")
        made = insert_plan(unit, Row(**said | {"display_name": body.display_name or body.id}))
        unit.record("plan.create", "plan", made.id, after=made)
        return shown(_of_row(made), made.version, status=201, location=f"/admin/v1/plans/{made.id}")

    return call.once(make, tenant=None)


@routes.serve("GET", "/plans/{plan}", "platform.plans.read", Plan)
def read_plan(call: Called, plan: str) -> Response:
    """One plan."""
    if plan in call.declared.plans:
        return shown(_of_file(plan, call.declared.plans[plan])).response()
    with call.read() as reader:
        row = find_plan(reader, plan)
    if row is None:
        raise not_found("plan")
    return shown(_of_row(row), row.version).response()


@routes.serve("PATCH", "/plans/{plan}", "platform.plans.write", Plan)
def update_one_plan(call: Called, plan: str, body: PlanChange) -> Response:
    """For all tenants that have it, from their next request on."""
    if plan in call.declared.plans:
        raise managed_by_file(f"plans.{plan}")
    said = checked_pricing({name: getattr(body, name) for name in body.model_fields_set}, call.declared.models)
    if "limits" in said:
        said["limits"] = stored(said["limits"], "plan", call.declared.models)
    with call.change() as unit:
        row = find_plan(unit, plan)
        if row is None:
            raise not_found("plan")
        call.check_match(row.version)
        made = row
        if any(plain(getattr(row, name)) != plain(value) for name, value in said.items()):
            made = update_plan(unit, replace(row, **said))
            unit.record("plan.update", "plan", made.id, before=row, after=made)
    return shown(_of_row(made), made.version).response()


@routes.serve("DELETE", "/plans/{plan}", "platform.plans.write", None, status=204)
def delete_one_plan(call: Called, plan: str) -> Response:
    """409 while a tenant has it."""
    if plan in call.declared.plans:
        raise managed_by_file(f"plans.{plan}")
    with call.change() as unit:
        row = find_plan(unit, plan)
        if row is None:
            raise not_found("plan")
        call.check_match(row.version)
        delete_plan(unit, row)
        unit.record("plan.delete", "plan", row.id, before=row)
    return nothing().response()


def _of_file(name: str, declared: DeclaredPlan) -> Plan:
    return _plan(name, name, declared, None)


def _of_row(row: Row) -> Plan:
    return _plan(row.id, row.display_name, row, row)


def _plan(name: str, display_name: str, said: DeclaredPlan | Row, row: Row | None) -> Plan:
    return Plan(
        id=name,
        display_name=display_name,
        limits=plain(said.limits),
        zones=plain(said.zones),
        pricing=plain(said.pricing),
        created_at=text_of(row.created_at) if row else None,
        updated_at=text_of(row.updated_at) if row else None,
        managed_by="database" if row else "file",
    )
