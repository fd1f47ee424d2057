"""`/tenants/{tenant}/limits` and `/tenants/{tenant}/users/{user}/limits`: what takes the place of the plan's."""

from dataclasses import replace
from typing import Any, Literal

from starlette.responses import Response

from control.bounds import plain, plan_document
from control.call import Call, Called, Done, nothing, shown
from control.fields import Body, Shown, Time
from control.found_tenant import changeable_tenant, tenant_of
from control.limits_in import KeyDocument, TenantDocument, stored
from control.masking import text_of
from control.problems import managed_by_file, not_found
from control.routing import Routes
from control.store.plans import delete_limits, find_limits, insert_limits, update_limits
from control.store.unit import Reader
from control.store.users import find_membership
from control.store.values import Limits as Row
from control.store.values import LimitsSubject

routes = Routes("limits")
_PATH, _USER_PATH = "/tenants/{tenant}/limits", "/tenants/{tenant}/users/{user}/limits"


class TenantLimits(Shown):
    """`limits` are the tenant's own, which take the place of `plan_limits` kind by kind."""

    tenant: str
    plan: str | None
    plan_limits: dict[str, Any]
    limits: dict[str, Any]
    updated_at: Time | None
    managed_by: Literal["file", "database"]


class NewLimits(Body):
    """All of them: a kind that is not named is the plan's."""

    limits: TenantDocument


class UserLimits(Shown):
    """What one person of the tenant may use of it."""

    tenant: str
    user: str
    limits: dict[str, Any]
    updated_at: Time | None
    managed_by: Literal["database"] = "database"


class NewUserLimits(Body):
    """All of them."""

    limits: KeyDocument


@routes.serve("GET", _PATH, "limits.read", TenantLimits)
def read_tenant_limits(call: Called, tenant: str) -> Response:
    """The plan's, and what takes their place."""
    with call.read() as reader:
        return _shown(call, reader, find_limits(reader, tenant, "tenant", tenant)).response()


@routes.serve("PUT", _PATH, "limits.write", TenantLimits)
def set_tenant_limits(call: Called, tenant: str, body: NewLimits) -> Response:
    """In place of all that was set."""
    document = stored(body.limits, "tenant", call.declared.models)
    with call.change() as unit:
        _of_database(call, unit)
        _set(call, unit, "tenant", tenant, document)
        return _shown(call, unit, find_limits(unit, tenant, "tenant", tenant)).response()


@routes.serve("DELETE", _PATH, "limits.write", None, status=204)
def remove_tenant_limits(call: Called, tenant: str) -> Response:
    """The plan's hold again."""
    with call.change() as unit:
        _of_database(call, unit)
        _remove(call, unit, "tenant", tenant)
    return nothing().response()


@routes.serve("GET", _USER_PATH, "limits.read", UserLimits)
def read_user_limits(call: Called, tenant: str, user: str) -> Response:
    """A member's; empty where nothing is set."""
    with call.read() as reader:
        tenant_of(call, reader)
        _check_member(reader, tenant, user)
        return _user_shown(tenant, user, find_limits(reader, tenant, "user", user)).response()


@routes.serve("PUT", _USER_PATH, "limits.write", UserLimits)
def set_user_limits(call: Called, tenant: str, user: str, body: NewUserLimits) -> Response:
    """In place of all that was set. Also in tenants of gateway.yaml."""
    document = stored(body.limits, "key", call.declared.models)
    with call.change() as unit:
        changeable_tenant(call, unit)
        _check_member(unit, tenant, user)
        _set(call, unit, "user", user, document)
        return _user_shown(tenant, user, find_limits(unit, tenant, "user", user)).response()


@routes.serve("DELETE", _USER_PATH, "limits.write", None, status=204)
def remove_user_limits(call: Called, tenant: str, user: str) -> Response:
    """The tenant's hold for this person, and no others."""
    with call.change() as unit:
        changeable_tenant(call, unit)
        _check_member(unit, tenant, user)
        _remove(call, unit, "user", user)
    return nothing().response()


def _of_database(call: Call, reader: Reader) -> None:
    found = changeable_tenant(call, reader)
    if found.declared is not None:
        raise managed_by_file(f"tenants.{found.id}.limits")


def _check_member(reader: Reader, tenant: str, user: str) -> None:
    if find_membership(reader, tenant, user) is None:
        raise not_found("member of this tenant")


def _set(call: Call, unit: Any, subject: LimitsSubject, subject_id: str, document: dict[str, Any]) -> None:
    tenant = call.asker.tenant or ""
    row = find_limits(unit, tenant, subject, subject_id)
    call.check_match(row.version if row else 0)
    if row is None:
        made = insert_limits(unit, Row(tenant_id=tenant, subject=subject, subject_id=subject_id, limits=document))
    elif plain(row.limits) == document:
        return
    else:
        made = update_limits(unit, replace(row, limits=document))
    unit.record("limits.set", subject, subject_id, tenant_id=tenant, before=row, after=made)


def _remove(call: Call, unit: Any, subject: LimitsSubject, subject_id: str) -> None:
    tenant = call.asker.tenant or ""
    row = find_limits(unit, tenant, subject, subject_id)
    if row is None:
        raise not_found("limits")
    call.check_match(row.version)
    delete_limits(unit, row)
    unit.record("limits.delete", subject, subject_id, tenant_id=tenant, before=row)


def _shown(call: Call, reader: Reader, row: Row | None) -> Done:
    found = tenant_of(call, reader)
    declared = found.declared
    plan = declared.plan if declared else found.row.plan if found.row else None
    said = TenantLimits(
        tenant=found.id,
        plan=plan,
        plan_limits=plan_document(call, reader, plan),
        limits=declared.limits if declared else plain(row.limits) if row else {},
        updated_at=text_of(row.updated_at) if row and not declared else None,
        managed_by="file" if declared else "database",
    )
    return shown(said, row.version if row and not declared else None)


def _user_shown(tenant: str, user: str, row: Row | None) -> Done:
    limits = plain(row.limits) if row else {}
    updated_at = text_of(row.updated_at) if row else None
    said = UserLimits(tenant=tenant, user=user, limits=limits, updated_at=updated_at)
    return shown(said, row.version if row else None)
