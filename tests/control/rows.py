"""Rows as tests want them, and who writes them."""

import secrets
from typing import Any

from control.audit_chain import Actor
from control.store.ids import new_id
from control.store.keys import insert_key, revoke_key
from control.store.store import Store
from control.store.tenants import insert_tenant
from control.store.users import insert_membership, insert_user
from control.store.values import Membership, Tenant, User, VirtualKey

ADMIN = Actor("key", "key_admin", None, "192.0.2.1", "req-1")


def tenant(name: str = "acme", **more: Any) -> Tenant:
    return Tenant(id=name, **{"display_name": name.title(), "created_by": ADMIN.id, "metadata": {}, **more})


def key(tenant_id: str | None = "acme", **more: Any) -> VirtualKey:
    usual = {
        "id": new_id("key"),
        "name": "ci",
        "prefix": "hg-Ab3xy",
        "digest": secrets.token_bytes(32),
        "pepper_id": "p1",
        "role": "admin" if tenant_id is None else "developer",
        "created_by": ADMIN.id,
        "metadata": {},
    }
    return VirtualKey(tenant_id=tenant_id, **{**usual, **more})


def user(subject: str = "alice", **more: Any) -> User:
    usual = {"id": new_id("user"), "issuer": "https://id.example", "email": f"{subject}@example.org"}
    return User(subject=subject, **{**usual, **more})


def write_tenant(store: Store, name: str = "acme", **more: Any) -> Tenant:
    with store.write(ADMIN) as unit:
        made = insert_tenant(unit, tenant(name, **more))
        unit.record("tenant.create", "tenant", name, tenant_id=name, after=made)
    return made


def write_key(store: Store, tenant_id: str | None = "acme", actor: Actor = ADMIN, **more: Any) -> VirtualKey:
    with store.write(actor) as unit:
        made = insert_key(unit, key(tenant_id, **more))
        unit.record("key.create", "key", made.id, tenant_id=tenant_id, after=made)
    return made


def write_member(store: Store, tenant_id: str, person: User, role: Any = "developer") -> None:
    with store.write(ADMIN) as unit:
        if not unit.row(_same(person)):
            insert_user(unit, person)
        insert_membership(unit, Membership(tenant_id=tenant_id, user_id=person.id, role=role))
        unit.record("membership.create", "membership", person.id, tenant_id=tenant_id, after={"role": role})


def _same(person: User) -> Any:
    from control.store.users import USERS

    return USERS.living(USERS.c.id == person.id)


def revoke(store: Store, key: VirtualKey) -> None:
    with store.write(ADMIN) as unit:
        revoke_key(unit, key)
        unit.record("key.revoke", "key", key.id, tenant_id=key.tenant_id)
