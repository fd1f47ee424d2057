"""What the admin API says of adapters and their versions."""

from typing import Any

from control.adapters.facts import manifest_of
from control.adapters.states import Versions
from control.fields import Shown, Time
from control.masking import text_of
from control.store.values import Adapter as Row
from control.store.values import AdapterVersion
from headgate.directory.rows import AdapterState


class Version(Shown):
    """A version. `weight` is its share of the requests while it is live, in percent, `wanted_weight` what it is to
    get when engines have it; `manifest` is what was signed. `failure`: why its last step failed.
    """

    version: int
    state: AdapterState
    weight: int | None
    wanted_weight: int | None
    failure: str | None
    engine_name: str
    sha256: str
    size_bytes: int
    rank: int | None
    manifest: dict[str, Any]
    staged_on: list[str]
    created_at: Time
    created_by: str
    staged_at: Time | None
    live_at: Time | None
    retired_at: Time | None


class Adapter(Shown):
    """An adapter; clients ask for it as `model`. Its versions are those that are not deleted, the oldest first."""

    name: str
    model: str
    base_model: str
    created_at: Time
    created_by: str
    versions: list[Version]


def adapter_shown(row: Row, versions: Versions) -> Adapter:
    """What is said of an adapter."""
    return Adapter(
        name=row.name,
        model=row.alias,
        base_model=row.base_model,
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        versions=[version_shown(one) for one in versions],
    )


def version_shown(row: AdapterVersion) -> Version:
    """What is said of a version."""
    moments = {name: getattr(row, name) for name in ("staged_at", "live_at", "retired_at")}
    return Version(
        version=row.number,
        state=row.state,
        weight=row.weight,
        wanted_weight=row.wanted_weight,
        failure=row.failure,
        engine_name=row.engine_name,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        rank=row.rank,
        manifest=manifest_of(row.facts),
        staged_on=list(row.staged_on),
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        **{name: None if moment is None else text_of(moment) for name, moment in moments.items()},
    )
