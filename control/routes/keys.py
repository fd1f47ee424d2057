"""`/tenants/{tenant}/keys` and `/keys`, the platform's own: virtual keys, never shown but when they are made."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from control.admins_left import check_admin_left
from control.bounds import plain
from control.call import Call, Called, Done, nothing, shown
from control.fields import UNSAID, Body, Endpoints, Flag, KeyName, Metadata, ModelNames, Moment, Overlap, Shown, Time
from control.found_tenant import changeable_tenant, tenant_of
from control.keys import changed, declared_keys, document_of, issued, own_key, revoked, rotated
from control.limits_in import KeyDocument
from control.lists import MOST_ON_A_PAGE, After, Limit, files_first
from control.masking import text_of
from control.routing import Routes
from control.store.keys import list_keys, uses_of
from control.store.paging import Wish
from control.store.unit import Reader, Unit
from control.store.values import VirtualKey
from headgate.declared import DeclaredKey
from headgate.roles import PlatformRole, Role, TenantRole

routes = Routes("keys")
_LIST, _ONE = "/tenants/{tenant}/keys", "/tenants/{tenant}/keys/{key}"
_DAY = dt.timedelta(hours=24)


class Key(Shown):
    """A key. `id` of one of gateway.yaml is its name. `endpoints` and `models` null: all that the tenant may."""

    id: str
    name: str
    prefix: str | None
    role: Role
    endpoints: list[str] | None
    models: list[str] | None
    limits: dict[str, Any] | None
    metadata: dict[str, str]
    created_at: Time | None
    created_by: str | None
    expires_at: Time | None
    valid_until: Time | None
    rotated_from: str | None
    disabled: bool
    last_used_at: Time | None
    managed_by: Literal["file", "database"]


class MadeKey(Key):
    """A key that was made now. `key` is the key itself: it is in this answer only."""

    key: str


class Keys(Shown):
    """Some keys, and the cursor of the next ones."""

    data: list[Key]
    next: str | None


class NewKey(Body):
    """A key to be. What is not said is the maker's: its endpoints, models and end; without any, all."""

    name: KeyName
    role: TenantRole = "developer"
    endpoints: Endpoints | None = None
    models: ModelNames | None = None
    limits: KeyDocument | None = None
    metadata: Metadata = Field(default={})
    expires_at: Moment | None = None


class NewPlatformKey(Body):
    """A platform admin's key to be."""

    name: KeyName
    role: PlatformRole = "admin"
    metadata: Metadata = Field(default={})
    expires_at: Moment | None = None


class KeyChange(Body):
    """What is to be another; what is not named stays."""

    name: KeyName = UNSAID
    endpoints: Endpoints | None = UNSAID
    models: ModelNames | None = UNSAID
    limits: KeyDocument | None = UNSAID
    metadata: Metadata = UNSAID
    expires_at: Moment | None = UNSAID
    disabled: bool = UNSAID


class PlatformKeyChange(Body):
    """The same for a platform admin's key."""

    name: KeyName = UNSAID
    metadata: Metadata = UNSAID
    expires_at: Moment | None = UNSAID
    disabled: bool = UNSAID


class Rotation(Body):
    """How long the old key goes on beside the new one: `0s` ends it now."""

    overlap: Overlap = _DAY


@routes.serve("GET", _LIST, "keys.read", Keys, fails=(400,))
def read_keys(
    call: Called,
    tenant: str,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    name: str | None = None,
    role: TenantRole | None = None,
    disabled: Flag | None = None,
    created_by: str | None = None,
) -> Response:
    """Those of gateway.yaml by name, then the oldest first. A developer sees its own."""
    with call.read() as reader:
        tenant_of(call, reader)
        return _page(
            call,
            reader,
            tenant,
            Wish(limit, after),
            {"name": name, "role": role, "disabled": disabled, "created_by": created_by},
        )


@routes.serve("POST", _LIST, "keys.create", MadeKey, status=201)
def create_key(call: Called, tenant: str, body: NewKey) -> Response:
    """A key for the tenant. The answer has the key itself, once."""
    return _create(call, tenant, body.model_dump() | {"limits": document_of(call, body.limits)})


@routes.serve("GET", _ONE, "keys.read", Key)
def read_key(call: Called, tenant: str, key: str) -> Response:
    """What is known of a key."""
    with call.read() as reader:
        tenant_of(call, reader)
        return _one(call, reader, tenant, key)


@routes.serve("PATCH", _ONE, "keys.update", Key)
def update_one_key(call: Called, tenant: str, key: str, body: KeyChange) -> Response:
    """In force everywhere within a second. The role stays."""
    said = {name: getattr(body, name) for name in body.model_fields_set}
    if "limits" in said:
        said["limits"] = document_of(call, said["limits"])
    return _update(call, tenant, key, said)


@routes.serve("DELETE", _ONE, "keys.revoke", None, status=204)
def revoke_one_key(call: Called, tenant: str, key: str, cascade: Flag | None = None) -> Response:
    """For good: refused everywhere within a second. `cascade`: with what it has made, and what that has made."""
    return _revoke(call, tenant, key, cascade)


@routes.serve("POST", _ONE + "/rotate", "keys.rotate", MadeKey, status=201)
def rotate_one_key(call: Called, tenant: str, key: str, body: Rotation) -> Response:
    """A successor with the same scopes and limits. The answer has the key itself, once."""
    return _rotate(call, tenant, key, body.overlap)


@routes.serve("GET", "/keys", "platform.keys.read", Keys, fails=(400,))
def read_platform_keys(
    call: Called,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    name: str | None = None,
    disabled: Flag | None = None,
    created_by: str | None = None,
) -> Response:
    """The platform's own keys, the oldest first."""
    with call.read() as reader:
        return _page(
            call, reader, None, Wish(limit, after), {"name": name, "disabled": disabled, "created_by": created_by}
        )


@routes.serve("POST", "/keys", "platform.keys.write", MadeKey, status=201)
def create_platform_key(call: Called, body: NewPlatformKey) -> Response:
    """A key of a platform admin. The answer has the key itself, once."""
    return _create(call, None, body.model_dump())


@routes.serve("GET", "/keys/{key}", "platform.keys.read", Key)
def read_platform_key(call: Called, key: str) -> Response:
    """What is known of a key."""
    with call.read() as reader:
        return _one(call, reader, None, key)


@routes.serve("PATCH", "/keys/{key}", "platform.keys.write", Key)
def update_platform_key(call: Called, key: str, body: PlatformKeyChange) -> Response:
    """In force everywhere within a second."""
    return _update(call, None, key, {name: getattr(body, name) for name in body.model_fields_set})


@routes.serve("DELETE", "/keys/{key}", "platform.keys.write", None, status=204)
def revoke_platform_key(call: Called, key: str, cascade: Flag | None = None) -> Response:
    """For good: refused everywhere within a second. `cascade`: with the platform's keys that it has made."""
    return _revoke(call, None, key, cascade)


@routes.serve("POST", "/keys/{key}/rotate", "platform.keys.write", MadeKey, status=201)
def rotate_platform_key(call: Called, key: str, body: Rotation) -> Response:
    """A successor. The answer has the key itself, once."""
    return _rotate(call, None, key, body.overlap)


def _page(call: Call, reader: Reader, tenant: str | None, wish: Wish, asked: Mapping[str, Any]) -> Response:
    declared = declared_keys(call, tenant) if call.asker.reach == "all" else {}
    meant = {name: _of_file(key) for name, key in declared.items()}
    for name, value in asked.items():
        meant = {key: one for key, one in meant.items() if value is None or getattr(one, name) == value}
    if call.asker.reach == "own":
        if asked["created_by"] not in (None, call.creator):
            return shown(Keys(data=[], next=None)).response()
        asked = {**asked, "created_by": call.creator}
    page = files_first(
        f"virtual_keys of {tenant}", list(meant), wish, lambda wish: list_keys(reader, tenant, wish, **asked)
    )
    ids = [one if isinstance(one, str) else one.id for one in page.items]
    used = uses_of(reader, tenant or "", ids)
    data = [
        _of_file(declared[one], used.get(one)) if isinstance(one, str) else _of_row(one, used.get(one.id))
        for one in page.items
    ]
    return shown(Keys(data=data, next=page.next)).response()


def _one(call: Call, reader: Reader, tenant: str | None, key: str) -> Response:
    used = uses_of(reader, tenant or "", [key]).get(key)
    declared = declared_keys(call, tenant)
    if call.asker.reach == "all" and key in declared:
        return shown(_of_file(declared[key], used)).response()
    row = own_key(call, reader, tenant, key)
    return shown(_of_row(row, used), row.version).response()


def _create(call: Call, tenant: str | None, said: Mapping[str, Any]) -> Response:
    def make(unit: Unit) -> Done:
        _check_tenant(call, unit, tenant)
        return _made(*issued(call, unit, tenant, said))

    return call.once(make, tenant=tenant)


def _update(call: Call, tenant: str | None, key: str, said: Mapping[str, Any]) -> Response:
    with call.change() as unit:
        _check_tenant(call, unit, tenant)
        row = changed(call, unit, own_key(call, unit, tenant, key), said)
        if tenant is None and (row.disabled or said.get("expires_at") is not None):
            check_admin_left(call, unit, key)
        used = uses_of(unit, tenant or "", [key]).get(key)
    return shown(_of_row(row, used), row.version).response()


def _revoke(call: Call, tenant: str | None, key: str, cascade: bool | None) -> Response:
    with call.change() as unit:
        gone = revoked(call, unit, own_key(call, unit, tenant, key), cascade=bool(cascade))
        if tenant is None:
            check_admin_left(call, unit, *gone)
    return nothing().response()


def _rotate(call: Call, tenant: str | None, key: str, overlap: dt.timedelta) -> Response:
    def make(unit: Unit) -> Done:
        _check_tenant(call, unit, tenant)
        return _made(*rotated(call, unit, own_key(call, unit, tenant, key), overlap))

    return call.once(make, tenant=tenant)


def _check_tenant(call: Call, reader: Reader, tenant: str | None) -> None:
    if tenant is not None:
        changeable_tenant(call, reader)


def _made(row: VirtualKey, key: str) -> Done:
    place = "/admin/v1/keys/" if row.tenant_id is None else f"/admin/v1/tenants/{row.tenant_id}/keys/"
    return shown(MadeKey(**_said(row), key=key), row.version, status=201, location=place + row.id)


def _of_row(row: VirtualKey, used: dt.datetime | None = None) -> Key:
    return Key(**_said(row, used))


def _said(row: VirtualKey, used: dt.datetime | None = None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "role": row.role,
        "endpoints": None if row.endpoints is None else list(row.endpoints),
        "models": None if row.models is None else list(row.models),
        "limits": None if row.limits is None else plain(row.limits),
        "metadata": dict(row.metadata),
        "created_at": text_of(row.created_at),
        "created_by": row.created_by,
        "expires_at": _time(row.expires_at),
        "valid_until": _time(row.valid_until),
        "rotated_from": row.rotated_from,
        "disabled": row.disabled,
        "last_used_at": _time(used),
        "managed_by": "database",
    }


def _of_file(key: DeclaredKey, used: dt.datetime | None = None) -> Key:
    expires = None if key.expires is None else dt.datetime.fromtimestamp(key.expires, dt.UTC)
    return Key(
        id=key.name,
        name=key.name,
        prefix=None,
        role="developer",
        endpoints=None,
        models=None,
        limits=key.limits or None,
        metadata={},
        created_at=None,
        created_by=None,
        expires_at=_time(expires),
        valid_until=None,
        rotated_from=None,
        disabled=key.disabled,
        last_used_at=_time(used),
        managed_by="file",
    )


def _time(moment: dt.datetime | None) -> str | None:
    return None if moment is None else text_of(moment)
