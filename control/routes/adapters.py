"""`/tenants/{tenant}/adapters`: LoRA adapters of a tenant's, or with `shared` for it the platform's."""

from collections.abc import Callable

from starlette.responses import Response

from control.adapters import states
from control.adapters.found import MOST_ADAPTERS, adapter_of, check_base, check_owner
from control.adapters.recorded import record_version
from control.adapters.shown import Adapter, Adapters, Hosts
from control.adapters.states import Versions, version_of
from control.call import Call, Called, Done, nothing, shown
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.problems import conflict
from control.routes.adapter_shapes import (
    PATH,
    NewAdapter,
    NumberInPath,
    Promotion,
    Retirement,
    Rollback,
    etag_version_of,
)
from control.routing import Routes
from control.store.adapters import (
    adapters_of,
    delete_adapter,
    insert_adapter,
    list_adapters,
    update_versions,
    versions_of,
)
from control.store.paging import Wish
from control.store.unit import Unit
from control.store.values import Adapter as Row

routes = Routes("adapters")


@routes.serve("GET", PATH, "adapters.read", Adapters, fails=(400,))
def read_adapters(call: Called, tenant: str, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By name."""
    with call.read() as reader:
        check_owner(call, reader)
        page = list_adapters(reader, tenant, Wish(limit, after))
        hosts = Hosts(call, reader)
        data = [hosts.adapter_shown(row, versions_of(reader, tenant, row.name)) for row in page.items]
    return shown(Adapters(data=data, next=page.next)).response()


@routes.serve("POST", PATH, "adapters.write", Adapter, status=201)
def create_adapter(call: Called, tenant: str, body: NewAdapter) -> Response:
    """An adapter of a model that the tenant may use and whose engines load adapters."""

    def make(unit: Unit) -> Done:
        check_owner(call, unit, changes=True)
        check_base(call, unit, tenant, body.name, body.base_model)
        if len(adapters_of(unit, tenant)) >= MOST_ADAPTERS:
            raise conflict("too_many", f"a tenant has at most {MOST_ADAPTERS} adapters")
        made = insert_adapter(
            unit, Row(tenant_id=tenant, name=body.name, base_model=body.base_model, created_by=call.creator)
        )
        unit.record("adapter.create", "adapter", made.alias, tenant_id=tenant, after=made)
        place = f"/admin/v1/tenants/{tenant}/adapters/{made.name}"
        return shown(Hosts(call, unit).adapter_shown(made, ()), made.version, status=201, location=place)

    return call.once(make, tenant=tenant)


@routes.serve("GET", f"{PATH}/{{adapter}}", "adapters.read", Adapter)
def read_adapter(call: Called, tenant: str, adapter: str) -> Response:
    """One adapter, with its versions."""
    with call.read() as reader:
        row = adapter_of(call, reader, adapter)
        versions = versions_of(reader, tenant, adapter)
        said = Hosts(call, reader).adapter_shown(row, versions)
    return shown(said, etag_version_of(row, versions)).response()


@routes.serve("POST", f"{PATH}/{{adapter}}/promote", "adapters.write", Adapter)
def promote_version(call: Called, tenant: str, adapter: str, body: Promotion) -> Response:
    """At once where engines have it; otherwise it is wanted, and live when they do."""
    return _changed(
        call, tenant, adapter, lambda unit, some: states.promote(some, body.version, body.weight, unit.now), "promote"
    )


@routes.serve("POST", f"{PATH}/{{adapter}}/rollback", "adapters.write", Adapter)
def roll_back(call: Called, tenant: str, adapter: str, body: Rollback) -> Response:  # noqa: ARG001 - it says nothing
    """To the version that was live before, at once."""
    return _changed(call, tenant, adapter, lambda unit, some: states.roll_back(some, unit.now), "rollback")


@routes.serve("POST", f"{PATH}/{{adapter}}/versions/{{version}}/retire", "adapters.write", Adapter)
def retire_version(
    call: Called,
    tenant: str,
    adapter: str,
    version: NumberInPath,
    body: Retirement,  # noqa: ARG001 - it says nothing
) -> Response:
    """For good. Of two that share the requests, the other one gets them all."""
    return _changed(call, tenant, adapter, lambda unit, some: states.retire(some, version, unit.now), "retire")


@routes.serve("DELETE", f"{PATH}/{{adapter}}", "adapters.write", None, status=204)
def delete_one_adapter(call: Called, tenant: str, adapter: str) -> Response:
    """409 while it has versions."""
    with call.change() as unit:
        row, versions = adapter_of(call, unit, adapter), versions_of(unit, tenant, adapter)
        call.check_match(etag_version_of(row, versions))
        if versions:
            raise conflict("in_use", "this adapter has versions: delete them first")
        delete_adapter(unit, row)
        unit.record("adapter.delete", "adapter", row.alias, tenant_id=tenant, before=row)
    return nothing().response()


def _changed(
    call: Call, tenant: str, adapter: str, change: Callable[[Unit, Versions], Versions], verb: str
) -> Response:
    """An adapter after a change of its versions' states."""

    def make(unit: Unit) -> Done:
        check_owner(call, unit, changes=True)
        row, before = adapter_of(call, unit, adapter), versions_of(unit, tenant, adapter)
        if verb == "promote":
            check_base(call, unit, tenant, adapter, row.base_model)
        for after in update_versions(unit, change(unit, before)):
            record_version(unit, version_of(before, after.number), after)
        versions = versions_of(unit, tenant, adapter)
        return shown(Hosts(call, unit).adapter_shown(row, versions), etag_version_of(row, versions))

    return call.once(make, tenant=tenant)
