"""Whether a caller's tenant is open: gateway.yaml's word counts, then the directory's. Pure."""

from headgate.directory.directory import Directory
from headgate.snapshot import Snapshot


def closed(tenant: str, snapshot: Snapshot, directory: Directory) -> str | None:
    """Why nobody may act for the tenant; None when somebody may."""
    declared = snapshot.tenants.get(tenant)
    if declared is not None:
        return "disabled_tenant" if declared.disabled else None
    entry = directory.tenant(tenant)
    if entry is None:
        return "unknown_tenant"
    return "disabled_tenant" if entry.disabled or entry.deleting else None
