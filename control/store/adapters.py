"""Adapters and their versions. A tenant's adapters are its own; of `shared` they are the platform's."""

from dataclasses import replace
from typing import Any

from sqlalchemy import func, or_, select

from control.store.adapter_tables import AdapterRow, AdapterVersionRow
from control.store.paging import Page, Wish
from control.store.rows import Rows
from control.store.tables import AuditRow
from control.store.unit import Reader, Unit
from control.store.values import Adapter, AdapterVersion

ADAPTERS = Rows(Adapter, AdapterRow, "tenant_id", "name")
VERSIONS = Rows(AdapterVersion, AdapterVersionRow, "tenant_id", "name", "number")
STORED = "adapter_version.validated"  # in the audit log, once a version's files are stored
_BARE: dict[str, Any] = {
    "sha256": "",
    "manifest_sha256": None,
    "facts": {},
    "failure": None,
    "weight": None,
    "wanted_weight": None,
    "wanted_at": None,
    "wanted_back": False,
    "created_by": "",
}


def find_adapter(reader: Reader, tenant_id: str, name: str) -> Adapter | None:
    """None for one that does not exist."""
    return ADAPTERS.find(reader, tenant_id, name)


def list_adapters(reader: Reader, tenant_id: str, wish: Wish) -> Page[Adapter]:
    """By name."""
    return ADAPTERS.page(reader, wish, AdapterRow.tenant_id == tenant_id)


def adapters_of(reader: Reader, tenant_id: str) -> tuple[Adapter, ...]:
    """All of a tenant's, by name."""
    return ADAPTERS.all(reader, AdapterRow.tenant_id == tenant_id)


def versions_of(reader: Reader, tenant_id: str, name: str) -> tuple[AdapterVersion, ...]:
    """All of an adapter's, the oldest first."""
    same = (AdapterVersionRow.tenant_id == tenant_id, AdapterVersionRow.name == name)
    return VERSIONS.all(reader, *same)


def base_models(reader: Reader, *owners: str) -> dict[str, str]:
    """By what clients call them, of all adapters of these tenants; also of those that are gone, as long as known."""
    rows = reader.rows(ADAPTERS.query(AdapterRow.tenant_id.in_(owners), AdapterRow.base_model != ""))
    return {adapter.alias: adapter.base_model for adapter in map(ADAPTERS.value_of, rows)}


def wanted_versions(reader: Reader) -> tuple[AdapterVersion, ...]:
    """All that are to be live as soon as engines have them, of all tenants."""
    return VERSIONS.all(reader, AdapterVersionRow.wanted_weight.is_not(None))


def find_version(reader: Reader, tenant_id: str, name: str, number: int) -> AdapterVersion | None:
    """None for one that does not exist."""
    return VERSIONS.find(reader, tenant_id, name, number)


def all_versions(reader: Reader) -> tuple[AdapterVersion, ...]:
    """Those of all tenants."""
    return VERSIONS.all(reader)


def stored_bytes(reader: Reader, tenant_id: str | None = None) -> int:
    """What the files of all versions have, or of a tenant's; those that were not accepted have none."""
    accepted = or_(AdapterVersionRow.state != "uploaded", AdapterVersionRow.failure.is_(None))
    whose = () if tenant_id is None else (AdapterVersionRow.tenant_id == tenant_id,)
    query = select(func.sum(AdapterVersionRow.size_bytes)).where(
        AdapterVersionRow.deleted_at.is_(None), accepted, *whose
    )
    row = reader.row(query)
    return int(row[0] or 0) if row else 0


def was_any_stored(reader: Reader) -> bool:
    """Whether a version's files were ever stored: the audit log says so, whoever was deleted since."""
    return reader.row(select(AuditRow.seq).where(AuditRow.action == STORED).limit(1)) is not None


def insert_adapter(unit: Unit, adapter: Adapter) -> Adapter:
    """Raises Exists. One that was there before under this name goes on with its numbers."""
    gone = unit.row(ADAPTERS.query(AdapterRow.tenant_id == adapter.tenant_id, AdapterRow.name == adapter.name))
    last = ADAPTERS.value_of(gone).last_number if gone else 0
    return ADAPTERS.insert(unit, replace(adapter, last_number=last))


def take_number(unit: Unit, adapter: Adapter) -> Adapter:
    """Gives the adapter's next version its number. Raises Missing or Stale."""
    return ADAPTERS.update(unit, replace(adapter, last_number=adapter.last_number + 1))


def touch_adapter(unit: Unit, adapter: Adapter) -> Adapter:
    """Something of it has changed: its version is another one. Raises Missing or Stale."""
    return ADAPTERS.update(unit, adapter)


def insert_version(unit: Unit, version: AdapterVersion) -> AdapterVersion:
    """Raises Exists."""
    return VERSIONS.insert(unit, version)


def update_versions(unit: Unit, versions: tuple[AdapterVersion, ...]) -> tuple[AdapterVersion, ...]:
    """Raises Missing or Stale."""
    return tuple(VERSIONS.update(unit, version) for version in versions)


def delete_version(unit: Unit, version: AdapterVersion) -> AdapterVersion:
    """Raises Missing or Stale. It is retired, so that its tombstone is no live one's."""
    return VERSIONS.delete(unit, version, state="retired", **_BARE)


def delete_adapter(unit: Unit, adapter: Adapter) -> Adapter:
    """Raises Missing or Stale. Its versions have to be gone."""
    return ADAPTERS.delete(unit, adapter, created_by="")
