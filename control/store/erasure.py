"""What happens here when a tenant or a person goes: rows become bare tombstones, the audit log forgets whom it was
about.

Invoices and entries of credits stay as they were, detached from whoever gets the name later
(control/store/invoices.py, control/store/credits.py).

`erase_tenant` is this store's part of a tenant's deletion; `Deletion` rows say how far the whole of it is.
Everything may be killed at any point and called again. Tombstones keep ids and digests, by which workers learn what
is gone, until `compact_directory`. Tenant's people who are in no other tenant, not of the platform and not disabled,
go with it.
"""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update

from control.audit_chain import Actor
from control.store.adapters import ADAPTERS, VERSIONS
from control.store.audit_log import drop_parts_of_tenant, drop_parts_of_user
from control.store.base import table_of
from control.store.billing_tables import CreditEntryRow, InvoiceRow
from control.store.credits import ACCOUNTS, attached_credits, detach_credits
from control.store.failures import Missing
from control.store.ids import new_id
from control.store.invoices import attached, detach
from control.store.keys import KEYS
from control.store.plans import LIMITS
from control.store.rows import Rows
from control.store.store import Store
from control.store.tables import ALL, AnswerRow, DeletionRow, EventRow, KeyUseRow, MembershipRow, UserRow
from control.store.tenants import GRANTS, TENANTS
from control.store.unit import Reader, Unit, Writer
from control.store.users import MEMBERSHIPS, USERS, delete_user
from control.store.values import Deletion, User

_COLUMNS = tuple(table_of(DeletionRow).c[name] for name in Deletion.__slots__)
AT_ONCE = 5000  # rows of a kind that one unit erases: others write in between
_BARE: dict[str, Any] = {
    "display_name": "", "plan": None, "zones": None, "pricing": None, "metadata": {}, "created_by": ""
}  # fmt: skip
_SCOPES: dict[str, Any] = {"endpoints": None, "models": None, "limits": None}
_LEFT: dict[Rows[Any], dict[str, Any]] = {  # what a tombstone has in place of what is the tenant's
    LIMITS: {"limits": {}},
    GRANTS: {"created_by": ""},
    MEMBERSHIPS: {},
    ACCOUNTS: {"since_day": 0, "booked_nano": 0, "ending": ()},
    ADAPTERS: {"base_model": "", "created_by": ""},
    VERSIONS: {
        "sha256": "",
        "manifest_sha256": None,
        "facts": {},
        "staged_on": (),
        "failure": None,
        "created_by": "",
    },
    KEYS: {"name": "", "prefix": "", "metadata": {}, "created_by": ""} | _SCOPES,
}


def is_tenants(column: str) -> bool:
    """Whether a column of that name has a tenant's id."""
    return column.endswith("tenant_id")


TABLES_OF_TENANTS = tuple(
    table
    for table in ALL.sorted_tables
    if table is TENANTS.table or any(is_tenants(column.name) for column in table.c)
)


def start_deletion(unit: Unit, tenant_id: str) -> Deletion:
    """The tenant can do nothing any more from now on; what was started before goes on. Recorded."""
    for found in unfinished_deletions(unit):
        if found.tenant_id == tenant_id:
            return found
    deletion_id = new_id("del")
    deletion = Deletion(
        id=deletion_id,
        tenant_id=tenant_id,
        fingerprint=fingerprint_of(deletion_id, tenant_id),
        requested_by=unit.actor.id,
        requested_at=unit.now,
    )
    tenant = TENANTS.find(unit, tenant_id)
    if tenant is not None:
        TENANTS.update(unit, replace(tenant, disabled=True, deleting_at=unit.now))
    unit.run(insert(DeletionRow).values({name: getattr(deletion, name) for name in Deletion.__slots__}))
    unit.record("tenant.delete", "deletion", deletion_id, after={"fingerprint": deletion.fingerprint.hex()})
    return deletion


def note_done(writer: Writer, deletion: Deletion, store: str) -> Deletion:
    """That a store has nothing of the tenant's left. Raises Missing."""
    fresh = replace(deletion, done=tuple(sorted({*deletion.done, store})))
    if not writer.run(update(DeletionRow).where(DeletionRow.id == deletion.id).values(done=fresh.done)):
        raise Missing("there is no such deletion")
    return fresh


def finish_deletion(unit: Unit, deletion: Deletion) -> Deletion:
    """All stores are done: the tenant's name is forgotten here too. Recorded."""
    fresh = replace(deletion, tenant_id=None, finished_at=unit.now)
    same = DeletionRow.id == deletion.id
    if not unit.run(update(DeletionRow).where(same).values(tenant_id=None, finished_at=unit.now)):
        raise Missing("there is no such deletion")
    unit.record("tenant.deleted", "deletion", deletion.id, after={"stores": deletion.done})
    return fresh


def unfinished_deletions(reader: Reader) -> tuple[Deletion, ...]:
    """The oldest first: what a start of the process goes on with."""
    query = (
        select(*_COLUMNS).where(DeletionRow.finished_at.is_(None)).order_by(DeletionRow.requested_at, DeletionRow.id)
    )
    return tuple(Deletion(**row._mapping) for row in reader.rows(query))


def fingerprint_of(deletion_id: str, tenant_id: str) -> bytes:
    """By which those who know a tenant's name find its deletion."""
    return sha256(f"{deletion_id}:{tenant_id}".encode()).digest()


def erase_tenant(store: Store, actor: Actor, tenant_id: str) -> None:
    """Remove what this database has of a tenant, whose deletion was started. The log first: it needs the rows."""
    with store.read() as reader:
        people = _people_of(reader, tenant_id)
    for person in people:
        _forget(store, actor, person.id)
        with store.write(actor) as unit:
            delete_user(unit, person)
            unit.record("user.erase", "user", None)
    while True:
        with store.write(actor) as unit:
            if not drop_parts_of_tenant(unit, tenant_id):
                break
    while True:
        with store.write(actor) as unit:
            erased = _erase_rows(unit, tenant_id)
            if unit.taken is None:
                break
            unit.record("tenant.erase", "deletion", None, after={"rows": erased})


def erase_user(store: Store, actor: Actor, user_id: str) -> None:
    """Remove a person. Raises Missing."""
    with store.write(actor) as unit:
        user = USERS.find(unit, user_id)
        if user is None:
            raise Missing("there is no such user")
        delete_user(unit, user)
        unit.record("user.erase", "user", user_id)
    _forget(store, actor, user_id)


def traces_of(reader: Reader, tenant_id: str) -> dict[str, int]:
    """By table, how many rows are still about a tenant, tombstones left out; empty after its erasure.

    Every table with a tenant's id in it is looked at, whatever `erase_tenant` knows of it.
    """
    counts: dict[str, int] = {
        InvoiceRow.__tablename__: attached(reader, tenant_id),
        CreditEntryRow.__tablename__: attached_credits(reader, tenant_id),
    }
    for table in TABLES_OF_TENANTS:
        names = ("id",) if table is TENANTS.table else [column.name for column in table.c if is_tenants(column.name)]
        query = select(func.count()).where(or_(*(table.c[name] == tenant_id for name in names)))
        if "deleted_at" in table.c:
            query = query.where(table.c.deleted_at.is_(None))
        row = reader.row(query)
        counts[table.name] = row[0] if row else 0
    return {name: count for name, count in counts.items() if count}


def _erase_rows(unit: Unit, tenant_id: str) -> int:
    """Some of each kind, and all that is of no kind; how many of the former."""
    erased = 0
    for kind, left in _LEFT.items():
        erased += kind.delete_some(unit, AT_ONCE, kind.c.tenant_id == tenant_id, **left)
    erased += TENANTS.delete_some(unit, 1, TENANTS.c.id == tenant_id, **_BARE)
    unit.run(delete(KeyUseRow).where(KeyUseRow.tenant_id == tenant_id))
    unit.run(delete(AnswerRow).where(AnswerRow.tenant_id == tenant_id))
    unit.run(delete(EventRow).where(EventRow.tenant_id == tenant_id))
    detach(unit, tenant_id)
    detach_credits(unit, tenant_id)
    return erased


def _people_of(reader: Reader, tenant_id: str) -> tuple[User, ...]:
    """Who is in this tenant and nowhere else. Whoever is disabled stays, and so blocked."""
    living = MembershipRow.deleted_at.is_(None)
    here = select(MembershipRow.user_id).where(living, MembershipRow.tenant_id == tenant_id)
    elsewhere = select(MembershipRow.user_id).where(living, MembershipRow.tenant_id != tenant_id)
    others = (UserRow.platform_role.is_(None), UserRow.disabled.is_(False))
    return USERS.all(reader, UserRow.id.in_(here), UserRow.id.not_in(elsewhere), *others)


def _forget(store: Store, actor: Actor, user_id: str) -> None:
    while True:
        with store.write(actor) as unit:
            if not drop_parts_of_user(unit, user_id):
                return
