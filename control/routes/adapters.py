"""`/tenants/{tenant}/adapters`: LoRA adapters of a tenant's, or with `shared` for it the platform's."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from control.adapters import states
from control.adapters.arriving import arrived
from control.adapters.found import MOST_ADAPTERS, adapter_of, check_base, check_owner
from control.adapters.recorded import record_version
from control.adapters.registering import register, unregister
from control.adapters.shown import Adapter, Adapters, Version, adapter_shown, version_shown
from control.adapters.states import ALONE, Versions, version_of
from control.adapters.told import About
from control.call import Call, Called, Done, nothing, shown
from control.fields import MODEL, Body
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.problems import conflict
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
from headgate.config import values
from headgate.config.wording import found
from headgate.directory.rows import ADAPTER_NAME, is_adapter_name

routes = Routes("adapters")
_PATH = "/tenants/{tenant}/adapters"


def _name(value: Any) -> str:
    if isinstance(value, str) and is_adapter_name(value):
        return value
    raise ValueError(f"expected 1 to 63 letters, digits, '.', '_', '-' and ':', found {found(value)}")


def _weight(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= ALONE:
        return value
    raise ValueError(f"expected a whole number of percent from 1 to {ALONE}, found {found(value)}")


def _number(value: Any) -> int:
    """In a path it is text."""
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}", value):
        return int(value)
    raise ValueError(f"expected the number of a version, found {found(value)}")


_NUMBER_SCHEMA = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
_WEIGHT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": ALONE}
AdapterName = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "pattern": ADAPTER_NAME})]
ModelName = Annotated[str, PlainValidator(values.model_name), WithJsonSchema({"type": "string", "pattern": MODEL})]
Number = Annotated[int, PlainValidator(values.whole(1, 999_999_999)), WithJsonSchema(_NUMBER_SCHEMA)]
NumberInPath = Annotated[int, PlainValidator(_number), WithJsonSchema(_NUMBER_SCHEMA)]
Weight = Annotated[int, PlainValidator(_weight), WithJsonSchema(_WEIGHT_SCHEMA)]


class NewAdapter(Body):
    """An adapter to be, without a version yet. Clients will call it `<tenant>/<name>`."""

    name: AdapterName
    base_model: ModelName


class Promotion(Body):
    """Which version is to be live. With a `weight` below 100 it shares the requests with the one that is."""

    version: Number
    weight: Weight = ALONE


class Rollback(Body):
    """Nothing has to be said."""


class Retirement(Body):
    """Nothing has to be said."""


@routes.serve("GET", _PATH, "adapters.read", Adapters, fails=(400,))
def read_adapters(call: Called, tenant: str, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """By name."""
    with call.read() as reader:
        check_owner(call, reader)
        page = list_adapters(reader, tenant, Wish(limit, after))
        data = [adapter_shown(call, reader, row, versions_of(reader, tenant, row.name)) for row in page.items]
    return shown(Adapters(data=data, next=page.next)).response()


@routes.serve("POST", _PATH, "adapters.write", Adapter, status=201)
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
        return shown(adapter_shown(call, unit, made, ()), made.version, status=201, location=place)

    return call.once(make, tenant=tenant)


@routes.serve("GET", f"{_PATH}/{{adapter}}", "adapters.read", Adapter)
def read_adapter(call: Called, tenant: str, adapter: str) -> Response:
    """One adapter, with its versions."""
    with call.read() as reader:
        row = adapter_of(call, reader, adapter)
        versions = versions_of(reader, tenant, adapter)
        said = adapter_shown(call, reader, row, versions)
    return shown(said, _version_of(row, versions)).response()


@routes.serve("POST", f"{_PATH}/{{adapter}}/versions", "adapters.write", Version, status=201, uploads=True)
async def push_version(call: Called, tenant: str, adapter: str, about: About) -> Response:
    """adapter_config.json on one line, and behind it the bytes of the safetensors file."""
    await run_in_threadpool(_check_there, call, adapter)
    async with arrived(call.request, call.declared.adapters.max_size_bytes, call.tools.state) as files:
        made = await run_in_threadpool(register, call, tenant, adapter, files, about)
    place = f"/admin/v1/tenants/{tenant}/adapters/{adapter}"
    return shown(version_shown(made), made.version, status=201, location=place).response()


@routes.serve("DELETE", f"{_PATH}/{{adapter}}/versions/{{version}}", "adapters.write", None, status=204)
def delete_one_version(call: Called, tenant: str, adapter: str, version: NumberInPath) -> Response:
    """With its files. 409 while it is live."""
    unregister(call, tenant, adapter, version)
    return nothing().response()


@routes.serve("POST", f"{_PATH}/{{adapter}}/promote", "adapters.write", Adapter)
def promote_version(call: Called, tenant: str, adapter: str, body: Promotion) -> Response:
    """At once where engines have it; otherwise it is wanted, and live when they do."""
    return _changed(
        call, tenant, adapter, lambda unit, some: states.promote(some, body.version, body.weight, unit.now), "promote"
    )


@routes.serve("POST", f"{_PATH}/{{adapter}}/rollback", "adapters.write", Adapter)
def roll_back(call: Called, tenant: str, adapter: str, body: Rollback) -> Response:  # noqa: ARG001 - it says nothing
    """To the version that was live before, at once."""
    return _changed(call, tenant, adapter, lambda unit, some: states.roll_back(some, unit.now), "rollback")


@routes.serve("POST", f"{_PATH}/{{adapter}}/versions/{{version}}/retire", "adapters.write", Adapter)
def retire_version(
    call: Called,
    tenant: str,
    adapter: str,
    version: NumberInPath,
    body: Retirement,  # noqa: ARG001 - it says nothing
) -> Response:
    """For good. Of two that share the requests, the other one gets them all."""
    return _changed(call, tenant, adapter, lambda unit, some: states.retire(some, version, unit.now), "retire")


@routes.serve("DELETE", f"{_PATH}/{{adapter}}", "adapters.write", None, status=204)
def delete_one_adapter(call: Called, tenant: str, adapter: str) -> Response:
    """409 while it has versions."""
    with call.change() as unit:
        row, versions = adapter_of(call, unit, adapter), versions_of(unit, tenant, adapter)
        call.check_match(_version_of(row, versions))
        if versions:
            raise conflict("in_use", "this adapter has versions: delete them first")
        delete_adapter(unit, row)
        unit.record("adapter.delete", "adapter", row.alias, tenant_id=tenant, before=row)
    return nothing().response()


def _check_there(call: Call, adapter: str) -> None:
    """Before anything of a body is taken."""
    with call.read() as reader:
        check_owner(call, reader, changes=True)
        adapter_of(call, reader, adapter)


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
        return shown(adapter_shown(call, unit, row, versions), _version_of(row, versions))

    return call.once(make, tenant=tenant)


def _version_of(row: Row, versions: Versions) -> int:
    """Another one after each change of the adapter or of one of its versions."""
    return max(row.version, *(one.version for one in versions), 0)
