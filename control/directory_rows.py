"""From the store's rows to what the directory tells of them. Pure; no secret and nothing personal but the subject."""

from collections.abc import Mapping
from typing import Any

from control.store.values import (
    Adapter,
    AdapterVersion,
    Credential,
    CreditAccount,
    Grant,
    Limits,
    Membership,
    Plan,
    Row,
    Tenant,
    User,
    VirtualKey,
)
from headgate.credits import Ending
from headgate.directory import rows
from headgate.directory.rows import Change


def changes_of(found: tuple[Row, ...]) -> tuple[Change, ...]:
    """What the rows, tombstones too, are in the directory. Credentials are not in it."""
    return tuple(_change_of(row) for row in found if not isinstance(row, Credential))


def _change_of(row: Any) -> Change:
    entry = _entry_of(row)
    return rows.change_to(entry) if row.deleted_at is None else rows.gone(type(entry), entry.place)


def _entry_of(row: Any) -> rows.Row:
    match row:
        case VirtualKey():
            return _key(row)
        case Tenant():
            return rows.TenantEntry(
                id=row.id,
                plan=row.plan,
                zones=row.zones,
                pin_targets=row.pin_targets,
                store_prompts=row.store_prompts,
                disabled=row.disabled,
                deleting=row.deleting_at is not None,
                version=row.version,
                usage_retention_days=row.usage_retention_days,
                pricing=_document(row.pricing),
            )
        case Plan():
            return rows.PlanEntry(row.id, dict(row.limits), row.zones, row.version, _document(row.pricing))
        case Limits():
            return rows.LimitsEntry(row.tenant_id, row.subject, row.subject_id, dict(row.limits), row.version)
        case Grant():
            return rows.GrantEntry(row.tenant_id, row.model, row.version)
        case User():
            return rows.UserEntry(row.id, row.issuer, row.subject, row.platform_role, row.disabled, row.version)
        case Membership():
            return rows.MembershipEntry(row.tenant_id, row.user_id, row.role, row.version)
        case CreditAccount():
            ending = tuple(Ending(*one) for one in row.ending)
            return rows.CreditsEntry(row.tenant_id, row.since_day, row.booked_nano, ending, row.version)
        case Adapter() | AdapterVersion():
            return _of_adapter(row)
    raise TypeError(f"the directory has no place for {type(row).__name__}")


def _document(written: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if written is None else dict(written)


def _of_adapter(row: Adapter | AdapterVersion) -> rows.AdapterEntry | rows.AdapterVersionEntry:
    if isinstance(row, Adapter):
        return rows.AdapterEntry(row.tenant_id, row.name, row.base_model, row.version)
    return rows.AdapterVersionEntry(
        tenant=row.tenant_id,
        name=row.name,
        number=row.number,
        state=row.state,
        sha256=row.sha256,
        weight=row.weight,
        wanted_weight=row.wanted_weight,
        rank=row.rank,
        size_bytes=row.size_bytes,
        live_at=None if row.live_at is None else row.live_at.timestamp(),
        manifest_sha256=row.manifest_sha256,
        version=row.version,
    )


def _key(key: VirtualKey) -> rows.KeyRow:
    return rows.KeyRow(
        id=key.id,
        tenant=key.tenant_id,
        digest=key.digest,
        pepper_id=key.pepper_id,
        role=key.role,
        endpoints=key.endpoints,
        models=key.models,
        limits=_document(key.limits),
        ends_at=None if key.ends_at is None else key.ends_at.timestamp(),
        disabled=key.disabled,
        version=key.version,
    )
