"""`/tenants/{tenant}/grants`: the models that a tenant may use."""

from typing import Literal

from starlette.responses import Response

from control.adapters.found import is_shared_adapter
from control.call import Called, nothing, shown
from control.fields import Shown, Time
from control.found_tenant import changeable_tenant, tenant_of
from control.lists import MOST_ON_A_PAGE, After, Limit, of_names
from control.masking import text_of
from control.problems import managed_by_file, not_found
from control.routing import Routes
from control.store.paging import Wish
from control.store.tenants import delete_grant, find_grant, insert_grant, list_grants
from control.store.values import Grant as Row

routes = Routes("grants")


class Grant(Shown):
    """A model that the tenant may use, in its zones."""

    model: str
    created_at: Time | None
    created_by: str | None
    managed_by: Literal["file", "database"]


class Grants(Shown):
    """Some grants, and the cursor of the next ones."""

    data: list[Grant]
    next: str | None


@routes.serve("GET", "/tenants/{tenant}/grants", "grants.read", Grants, fails=(400,))
def read_grants(call: Called, tenant: str, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By model."""
    with call.read() as reader:
        found = tenant_of(call, reader)
        rows = () if found.declared else list_grants(reader, tenant)
    grants = {row.model: grant_shown(row) for row in rows}
    grants |= {model: _of_file(model) for model in (found.declared.models if found.declared else ())}
    page = of_names("model_grants", grants, Wish(limit, after))
    return shown(Grants(data=list(page.items), next=page.next)).response()


@routes.serve(
    "PUT", "/tenants/{tenant}/grants/{model:path}", "grants.write", Grant, more={201: {"description": "Granted now."}}
)
def grant_model(call: Called, tenant: str, model: str) -> Response:
    """Lets the tenant use a model of gateway.yaml, or a shared adapter: 201, or 200 if it might already."""
    with call.change() as unit:
        if changeable_tenant(call, unit).declared is not None:
            raise managed_by_file(f"tenants.{tenant}.models")
        row = find_grant(unit, tenant, model)
        if row is not None:
            call.check_match(row.version)
            return shown(grant_shown(row), row.version).response()
        if model not in call.declared.models and not is_shared_adapter(unit, model):
            raise not_found("model")
        made = insert_grant(unit, Row(tenant_id=tenant, model=model, created_by=call.creator))
        unit.record("grant.create", "grant", model, tenant_id=tenant, after=made)
    return shown(grant_shown(made), made.version, status=201).response()


@routes.serve("DELETE", "/tenants/{tenant}/grants/{model:path}", "grants.write", None, status=204)
def take_grant_back(call: Called, tenant: str, model: str) -> Response:
    """Requests that began before go on."""
    with call.change() as unit:
        if changeable_tenant(call, unit).declared is not None:
            raise managed_by_file(f"tenants.{tenant}.models")
        row = find_grant(unit, tenant, model)
        if row is None:
            raise not_found("grant")
        call.check_match(row.version)
        delete_grant(unit, row)
        unit.record("grant.delete", "grant", model, tenant_id=tenant, before=row)
    return nothing().response()


def grant_shown(row: Row) -> Grant:
    """What is said of a grant."""
    made_at = text_of(row.created_at)
    return Grant(model=row.model, created_at=made_at, created_by=row.created_by, managed_by="database")


def _of_file(model: str) -> Grant:
    return Grant(model=model, created_at=None, created_by=None, managed_by="file")
