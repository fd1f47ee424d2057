"""What is done to virtual keys, a tenant's (`tenant` is its id) or the platform's own (None), by the routes of both.

A key itself is in one answer only, the one to whoever made it; here it is a local variable of `issued`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from control.adapters.found import own_aliases
from control.bounds import bounds_of, check_may_make, check_no_wider, check_within, filled, granted_models
from control.call import Call
from control.key_room import check_room
from control.limits_in import stored
from control.problems import Finding, Problem, conflict, invalid, managed_by_file, not_found
from control.roles import may_give
from control.store.ids import new_id
from control.store.keys import find_key, insert_key, keys_made_by, revoke_key, rotate_key, update_key
from control.store.unit import Reader, Unit
from control.store.values import VirtualKey
from headgate.declared import DeclaredKey
from headgate.roles import Role
from headgate.virtual_key import make_key, shown_of


def declared_keys(call: Call, tenant: str | None) -> dict[str, DeclaredKey]:
    """Those of gateway.yaml, by name."""
    declared = call.declared.tenants.get(tenant or "")
    return {key.name: key for key in declared.keys} if declared else {}


def own_key(call: Call, reader: Reader, tenant: str | None, key_id: str) -> VirtualKey:
    """A key of the database that the caller may know of. Raises Problem, also for one of gateway.yaml."""
    row = find_key(reader, tenant, key_id)
    if row is not None and (call.asker.reach == "all" or row.created_by == call.creator):
        return row
    if call.asker.reach == "all" and key_id in declared_keys(call, tenant):
        raise managed_by_file(f"tenants.{tenant}.keys")
    raise not_found("key")


def issued(call: Call, unit: Unit, tenant: str | None, said: Mapping[str, Any]) -> tuple[VirtualKey, str]:
    """A new key, and the key itself."""
    check_room(call, unit, tenant)
    key = make_key()
    digest, pepper_id = call.tools.make_digest(key)
    row = VirtualKey(
        **said,
        id=new_id("key"),
        tenant_id=tenant,
        prefix=shown_of(key),
        digest=digest,
        pepper_id=pepper_id,
        created_by=call.creator,
    )
    if tenant is not None and not call.asker.is_admin:
        bounds = bounds_of(call, unit, tenant)
        check_may_make(bounds)
        row = filled(row, bounds)
    _check(call, unit, row)
    made = insert_key(unit, row)
    unit.record("key.create", "key", made.id, tenant_id=tenant, after=made)
    return made, key


def changed(call: Call, unit: Unit, row: VirtualKey, said: Mapping[str, Any]) -> VirtualKey:
    """The key as it is then. To disable it alone asks for no more than to revoke it does."""
    call.check_match(row.version)
    wanted = replace(row, **said)
    if said == {"disabled": True}:
        _check_role(call, row.role)
    else:
        _check(call, unit, wanted, row)
    if call.asker.reach == "own":
        check_no_wider(row, wanted)
    if wanted == row:
        return row
    made = update_key(unit, wanted)
    unit.record("key.update", "key", made.id, tenant_id=row.tenant_id, before=row, after=made)
    return made


def rotated(call: Call, unit: Unit, row: VirtualKey, overlap: dt.timedelta) -> tuple[VirtualKey, str]:
    """The successor, and the key itself."""
    if row.valid_until is not None:
        raise conflict("already_rotated", "this key has a successor: rotate that one")
    if row.ends_at is not None and row.ends_at <= unit.now:
        raise conflict("key_ended", "this key has ended: make a new one")
    check_room(call, unit, row.tenant_id)
    key = make_key()
    digest, pepper_id = call.tools.make_digest(key)
    draft = replace(
        row,
        id=new_id("key"),
        prefix=shown_of(key),
        digest=digest,
        pepper_id=pepper_id,
        created_by=call.creator,
        valid_until=None,
        version=0,
    )
    _check(call, unit, draft, row)
    old, made = rotate_key(unit, row, draft, overlap)
    unit.record("key.rotate", "key", row.id, tenant_id=row.tenant_id, before=row, after=old)
    unit.record("key.create", "key", made.id, tenant_id=row.tenant_id, after=made)
    return made, key


def revoked(call: Call, unit: Unit, row: VirtualKey, *, cascade: bool) -> list[str]:
    """For good; the ids of all. `cascade`: with all that it, or the key whose successor it is, has made of its
    tenant's keys.
    """
    call.check_match(row.version)
    _revoke(unit, row)
    makers = [f"key:{one}" for one in (row.id, row.rotated_from) if one] if cascade else []
    return [row.id, *revoke_made_by(unit, row.tenant_id, *makers)]


def revoke_made_by(unit: Unit, tenant: str | None, *makers: str) -> list[str]:
    """What these have made, what that has made, and so on; the ids."""
    gone: list[str] = []
    while makers:
        made = keys_made_by(unit, tenant, makers)
        for row in made:
            _revoke(unit, row)
        gone += [row.id for row in made]
        makers = tuple(f"key:{row.id}" for row in made)
    return gone


def _revoke(unit: Unit, row: VirtualKey) -> None:
    revoke_key(unit, row)
    unit.record("key.revoke", "key", row.id, tenant_id=row.tenant_id, before=row)


def document_of(call: Call, limits: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A key's limits, ready for the database. Raises Problem."""
    return stored(limits, "key", call.declared.models) or None if limits is not None else None


def _check(call: Call, unit: Unit, row: VirtualKey, before: VirtualKey | None = None) -> None:
    """Raises Problem unless the key, `before` as it is now, is within what the caller and the tenant have."""
    _check_role(call, row.role)
    if row.expires_at is not None and row.expires_at <= unit.now:
        raise invalid(Finding(at="expires_at", expected="a time to come"))
    if row.tenant_id is None:
        return
    models = granted_models(call, unit, row.tenant_id)
    known = {*(call.declared.models if call.asker.is_admin else models), *own_aliases(unit, row.tenant_id)}
    if unknown := [model for model in row.models or () if model not in known]:
        raise conflict("unknown_model", f"{'there is' if call.asker.is_admin else 'you have'} no model {unknown[0]}")
    if call.asker.is_admin:
        return
    bounds = bounds_of(call, unit, row.tenant_id)
    is_own = before is not None and before.created_by == call.creator and before.limits == row.limits
    if is_own and call.asker.identity.kind == "user":  # its limits may be newer than its key, which stays as it is
        bounds = replace(bounds, own={})
    check_within(row, bounds, "a key may not do more than who makes, changes or replaces it")


def _check_role(call: Call, role: Role) -> None:
    if not may_give(call.asker.role, role):
        raise Problem(403, "more_than_yours", f"a {call.asker.role} may not make or change keys of role {role}")
