"""What the audit log has of an adapter's versions."""

from typing import Any

from control.store.unit import Unit
from control.store.values import AdapterVersion

_SAID = ("state", "sha256", "weight", "wanted_weight", "failure")


def record_version(unit: Unit, before: AdapterVersion | None, after: AdapterVersion | None) -> None:
    """What has become of a version; `before` None: it is new, `after` None: it is gone."""
    version = after or before
    assert version  # noqa: S101 - one of them
    name = f"{version.tenant_id}/{version.name}@{version.number}"
    said = {"before": _shown(before), "after": _shown(after)}
    unit.record(f"adapter_version.{_verb(before, after)}", "adapter", name, tenant_id=version.tenant_id, **said)


def _verb(before: AdapterVersion | None, after: AdapterVersion | None) -> str:
    if before is None or after is None:
        return "delete" if after is None else "upload"
    if after.state != before.state:
        return after.state
    if after.wanted_weight is not None:
        return "wanted"
    return "failed" if after.failure and after.failure != before.failure else "update"


def _shown(version: AdapterVersion | None) -> dict[str, Any] | None:
    """Of hosts how many: a tenant reads this, too."""
    if version is None:
        return None
    return {**{name: getattr(version, name) for name in _SAID}, "staged_on_hosts": len(version.staged_on)}
