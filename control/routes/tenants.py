"""`/tenants`: those of gateway.yaml, which are read-only here, and those of the database."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from control.bounds import plain
from control.call import Call, Called, Done, shown
from control.fields import UNSAID, Body, Days, DisplayName, Flag, Metadata, Name, Names, Shown, Time, unsaid
from control.found_tenant import Found, changeable_tenant, is_being_deleted, tenant_of
from control.lists import MOST_ON_A_PAGE, After, Limit, by_name, of_names
from control.masking import text_of
from control.pricing_in import PricingDocument, checked_pricing
from control.problems import Problem, conflict, managed_by_file, not_found
from control.roles import tenants_of
from control.routes.deletions import Deletion, deletion_shown
from control.routing import Routes
from control.store.erasure import start_deletion
from control.store.paging import Page, Wish
from control.store.plans import find_plan
from control.store.tenants import find_tenant, insert_tenant, list_tenants, update_tenant
from control.store.unit import Reader
from control.store.values import Tenant as Row
from headgate.directory.rows import SHARED

routes = Routes("tenants")


class Tenant(Shown):
    """A tenant. One of gateway.yaml has no times, and nobody who made it. `pricing` null: its plan's."""

    id: str
    display_name: str
    plan: str | None
    zones: list[str] | None
    pin_targets: bool
    store_prompts: bool
    usage_retention: str | None
    pricing: dict[str, Any] | None
    disabled: bool
    metadata: dict[str, str]
    created_at: Time | None
    created_by: str | None
    updated_at: Time | None
    deleting_at: Time | None
    managed_by: Literal["file", "database"]


class Tenants(Shown):
    """Some tenants, and the cursor of the next ones."""

    data: list[Tenant]
    next: str | None


class NewTenant(Body):
    """A tenant to be. `zones` and `pricing` null: its plan's; `usage_retention` null: the usage store's."""

    id: Name
    display_name: DisplayName | None = None
    plan: Name | None = None
    zones: Names | None = None
    pin_targets: bool = False
    store_prompts: bool = False
    usage_retention_days: Days | None = Field(default=None, alias="usage_retention")
    pricing: PricingDocument | None = None
    disabled: bool = False
    metadata: Metadata = Field(default={})


class TenantChange(Body):
    """What is to be another; what is not named stays. `plan`, `zones`, `usage_retention`, `pricing` may be null."""

    display_name: DisplayName = UNSAID
    plan: Name | None = UNSAID
    zones: Names | None = UNSAID
    pin_targets: bool = UNSAID
    store_prompts: bool = UNSAID
    usage_retention_days: Days | None = unsaid("usage_retention")
    pricing: PricingDocument | None = UNSAID
    disabled: bool = UNSAID
    metadata: Metadata = UNSAID


@routes.serve("GET", "/tenants", "tenants.list", Tenants, fails=(400,))
def read_tenants(
    call: Called,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    plan: str | None = None,
    disabled: Flag | None = None,
) -> Response:
    """All tenants, or the caller's, by name."""

    def meant(one: Found) -> bool:
        said = tenant_shown(one)
        return plan in (None, said.plan) and disabled in (None, said.disabled)

    wish = Wish(limit, after)
    with call.read() as reader:
        if call.asker.reach == "own":
            own = {name: found for name in tenants_of(call.asker.identity) if (found := _found(call, reader, name))}
            page: Page[Found] = of_names("tenants", {name: one for name, one in own.items() if meant(one)}, wish)
        else:
            declared = {name: Found(name, one, None) for name, one in call.declared.tenants.items()}
            mixed = by_name(
                "tenants",
                [name for name, one in declared.items() if meant(one)],
                declared,
                wish,
                lambda wish: list_tenants(reader, wish, plan=plan, disabled=disabled),
                lambda row: row.id,
            )
            items = [declared[one] if isinstance(one, str) else Found(one.id, None, one) for one in mixed.items]
            page = Page(tuple(items), mixed.next)
    return shown(Tenants(data=[tenant_shown(one) for one in page.items], next=page.next)).response()


@routes.serve("POST", "/tenants", "tenants.create", Tenant, status=201)
def create_tenant(call: Called, body: NewTenant) -> Response:
    """A tenant of the database."""
    said = checked_pricing(body.model_dump(), call.declared.models)

    def make(unit: Any) -> Done:
        if body.id in call.declared.tenants:
            raise managed_by_file(f"tenants.{body.id}")
        if body.id == SHARED:
            raise conflict("exists", f"{SHARED} stands for the platform among adapters: call the tenant otherwise")
        if is_being_deleted(unit, body.id):
            raise conflict("tenant_deleting", "a tenant of this name is being deleted: wait until it has gone")
        _check_plan(call, unit, body.plan)
        more = {"display_name": body.display_name or body.id, "created_by": call.creator}
        made = insert_tenant(unit, Row(**said | more))
        unit.record("tenant.create", "tenant", made.id, tenant_id=made.id, after=made)
        place = f"/admin/v1/tenants/{made.id}"
        return shown(tenant_shown(Found(made.id, None, made)), made.version, status=201, location=place)

    return call.once(make, tenant=body.id)


@routes.serve("GET", "/tenants/{tenant}", "tenants.read", Tenant)
def read_tenant(call: Called, tenant: str) -> Response:  # noqa: ARG001 - the path's, which the call has
    """One tenant."""
    with call.read() as reader:
        found = tenant_of(call, reader)
    return _shown(found).response()


@routes.serve("PATCH", "/tenants/{tenant}", "tenants.update", Tenant)
def update_one_tenant(call: Called, tenant: str, body: TenantChange) -> Response:
    """Its settings. A plan and pricing that are changed are in force for the next request."""
    said = checked_pricing({name: getattr(body, name) for name in body.model_fields_set}, call.declared.models)
    with call.change() as unit:
        found = changeable_tenant(call, unit)
        if found.declared is not None or found.row is None:
            raise managed_by_file(f"tenants.{tenant}")
        call.check_match(found.row.version)
        _check_plan(call, unit, body.plan)
        made = found.row
        if any(plain(getattr(made, name)) != plain(value) for name, value in said.items()):
            made = update_tenant(unit, replace(made, **said))
            unit.record("tenant.update", "tenant", made.id, tenant_id=made.id, before=found.row, after=made)
    return _shown(Found(made.id, None, made)).response()


@routes.serve("DELETE", "/tenants/{tenant}", "tenants.delete", Deletion, status=202)
def delete_tenant(call: Called, tenant: str) -> Response:
    """Begins to remove all that it has, in every store. Also of one that gateway.yaml had, and has no more."""
    if tenant in call.declared.tenants:
        raise managed_by_file(f"tenants.{tenant}")
    known = _has_left_something(call, tenant)
    with call.change() as unit:
        row = find_tenant(unit, tenant)
        if row is not None:
            call.check_match(row.version)
        elif not known and not is_being_deleted(unit, tenant):
            raise not_found("tenant")
        deletion = start_deletion(unit, tenant)
        said = deletion_shown(call, unit, deletion)
    call.service.deletions.wake()
    return shown(said, status=202, location=f"/admin/v1/deletions/{deletion.id}").response()


def tenant_shown(one: Found) -> Tenant:
    """What is said of a tenant."""
    if one.declared is not None:
        declared = one.declared
        return Tenant(
            id=one.id,
            display_name=one.id,
            plan=declared.plan,
            zones=None if declared.zones is None else list(declared.zones),
            pin_targets=declared.pin_targets,
            store_prompts=declared.store_prompts,
            usage_retention=_days(declared.usage_retention_days),
            pricing=declared.pricing,
            disabled=declared.disabled,
            metadata={},
            created_at=None,
            created_by=None,
            updated_at=None,
            deleting_at=None,
            managed_by="file",
        )
    row = one.row
    assert row is not None  # noqa: S101 - one of the two is there
    return Tenant(
        id=row.id,
        display_name=row.display_name,
        plan=row.plan,
        zones=None if row.zones is None else list(row.zones),
        pin_targets=row.pin_targets,
        store_prompts=row.store_prompts,
        usage_retention=_days(row.usage_retention_days),
        pricing=plain(row.pricing),
        disabled=row.disabled,
        metadata=dict(row.metadata),
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        updated_at=text_of(row.updated_at),
        deleting_at=text_of(row.deleting_at) if row.deleting_at else None,
        managed_by="database",
    )


def _days(days: int | None) -> str | None:
    return None if days is None else f"{days}d"


def _shown(one: Found) -> Done:
    return shown(tenant_shown(one), one.row.version if one.declared is None and one.row else None)


def _found(call: Call, reader: Reader, name: str) -> Found | None:
    declared, row = call.declared.tenants.get(name), find_tenant(reader, name)
    return None if declared is None and row is None else Found(name, declared, row)


def _check_plan(call: Call, reader: Reader, plan: str | None) -> None:
    if plan is not None and plan not in call.declared.plans and find_plan(reader, plan) is None:
        raise conflict("unknown_plan", f"neither gateway.yaml nor the database has a plan {plan}")


def _has_left_something(call: Call, tenant: str) -> bool:
    """Of a tenant without a row. Raises Problem where a store can't be looked at."""
    with call.read() as reader:
        if find_tenant(reader, tenant) is not None:
            return True
    try:
        return call.service.deletions.has_traces(tenant)
    except OSError as error:
        raise Problem(503, "store_away", f"a store can't be looked at now: {error.strerror}") from error
