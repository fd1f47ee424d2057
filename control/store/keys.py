"""Virtual keys: their digests, whose they are, what they may. No key comes near this module.

A read needs the tenant that it is for; None is the platform's own keys.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, insert, select, update

from control.store.base import table_of
from control.store.columns import Moment
from control.store.paging import Page, Wish
from control.store.rows import Rows
from control.store.tables import KeyUseRow, VirtualKeyRow
from control.store.unit import Reader, Unit, Writer
from control.store.values import VirtualKey

KEYS = Rows(VirtualKey, VirtualKeyRow, "id")
_USES = table_of(KeyUseRow)


def find_key(reader: Reader, tenant_id: str | None, key_id: str) -> VirtualKey | None:
    """None for one that is another tenant's, or revoked."""
    row = reader.row(KEYS.living(_of(tenant_id), VirtualKeyRow.id == key_id))
    return None if row is None else KEYS.value_of(row)


def list_keys(
    reader: Reader,
    tenant_id: str | None,
    wish: Wish,
    *,
    name: str | None = None,
    role: str | None = None,
    created_by: str | None = None,
    disabled: bool | None = None,
) -> Page[VirtualKey]:
    """The oldest first; revoked ones are gone."""
    asked = (
        (VirtualKeyRow.name, name),
        (VirtualKeyRow.role, role),
        (VirtualKeyRow.created_by, created_by),
        (VirtualKeyRow.disabled, disabled),
    )
    conditions = [column == value for column, value in asked if value is not None]
    return KEYS.page(reader, wish, _of(tenant_id), *conditions, order=("created_at", "id"))


def keys_made_by(reader: Reader, tenant_id: str | None, makers: Collection[str]) -> tuple[VirtualKey, ...]:
    """Keys that are not revoked, by whom they say that they are from."""
    return KEYS.all(reader, _of(tenant_id), VirtualKeyRow.created_by.in_(makers))


def count_keys(reader: Reader, tenant_id: str, *, created_by: str | None = None) -> int:
    """Of a tenant, or of those one maker's; without revoked ones."""
    made = [] if created_by is None else [VirtualKeyRow.created_by == created_by]
    living = (VirtualKeyRow.deleted_at.is_(None), _of(tenant_id), *made)
    found = reader.row(select(func.count()).select_from(VirtualKeyRow).where(*living))
    return found[0] if found else 0


def insert_key(unit: Unit, key: VirtualKey) -> VirtualKey:
    """Raises Exists, if a key has been drawn twice."""
    return KEYS.insert(unit, key)


def update_key(unit: Unit, key: VirtualKey) -> VirtualKey:
    """Raises Missing or Stale."""
    return KEYS.update(unit, key)


def rotate_key(
    unit: Unit, old: VirtualKey, fresh: VirtualKey, overlap: dt.timedelta
) -> tuple[VirtualKey, VirtualKey]:
    """The old key goes on for `overlap`, or to its end if that is earlier; the fresh one is its successor.

    Raises Missing or Stale.
    """
    until = min(end for end in (old.ends_at, unit.now + overlap) if end)
    return KEYS.update(unit, replace(old, valid_until=until)), KEYS.insert(unit, replace(fresh, rotated_from=old.id))


def revoke_key(unit: Unit, key: VirtualKey) -> VirtualKey:
    """For good. The tombstone keeps the digest, by which workers know it. Raises Missing or Stale."""
    return KEYS.delete(unit, key)


def limited_keys(reader: Reader, tenant_id: str) -> dict[str, Mapping[str, Any]]:
    """The limits of a tenant's keys that have some, by id."""
    mine = (VirtualKeyRow.tenant_id == tenant_id, VirtualKeyRow.limits.is_not(None))
    return {key.id: key.limits for key in KEYS.all(reader, *mine) if key.limits}


def platform_keys(reader: Reader) -> tuple[VirtualKey, ...]:
    """All that are not revoked, disabled ones too."""
    return KEYS.all(reader, _of(None))


def has_admin_key(reader: Reader) -> bool:
    """Whether a key of the platform's is there: the first start makes one."""
    return reader.row(KEYS.living(_of(None)).limit(1)) is not None


def note_uses(writer: Writer, uses: Mapping[tuple[str, str], dt.datetime]) -> None:
    """By tenant ("": the platform's) and key id, also of keys of gateway.yaml.

    A use that is older than the noted one changes nothing.
    """
    if not uses:
        return
    known = {
        (row[0], row[1]): row[2] for tenant in {tenant for tenant, _ in uses} for row in writer.rows(_uses_of(tenant))
    }
    rows = [{"t": tenant, "k": key, "at": at} for (tenant, key), at in uses.items()]
    later = [row for row in rows if (before := known.get((row["t"], row["k"]))) is not None and before < row["at"]]
    fresh = [row for row in rows if (row["t"], row["k"]) not in known]
    if later:
        same = (KeyUseRow.tenant_id == bindparam("t")) & (KeyUseRow.key_id == bindparam("k"))
        writer.run(update(_USES).where(same).values(used_at=bindparam("at", type_=Moment())), later)
    if fresh:
        writer.run(
            insert(_USES).values(
                tenant_id=bindparam("t"), key_id=bindparam("k"), used_at=bindparam("at", type_=Moment())
            ),
            fresh,
        )


def uses_of(reader: Reader, tenant_id: str, key_ids: Iterable[str]) -> dict[str, dt.datetime]:
    """When these keys of a tenant were last used, of those that were."""
    found = reader.rows(_uses_of(tenant_id).where(KeyUseRow.key_id.in_(list(key_ids))))
    return {row[1]: row[2] for row in found}


def _uses_of(tenant_id: str) -> Select[str, str, dt.datetime]:
    return select(KeyUseRow.tenant_id, KeyUseRow.key_id, KeyUseRow.used_at).where(KeyUseRow.tenant_id == tenant_id)


def _of(tenant_id: str | None) -> ColumnElement[bool]:
    return VirtualKeyRow.tenant_id.is_(None) if tenant_id is None else VirtualKeyRow.tenant_id == tenant_id
