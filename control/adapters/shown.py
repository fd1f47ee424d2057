"""Adapters and their versions as the admin API shows them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from control.adapters import states
from control.adapters.facts import manifest_of
from control.adapters.promotions import hosts_for
from control.adapters.states import Versions
from control.call import Call
from control.fields import Shown, Time
from control.masking import text_of
from control.store.unit import Reader
from control.store.values import Adapter as Row
from control.store.values import AdapterVersion
from headgate.directory.rows import AdapterState


class WaitedFor(Shown):
    """A host whose engines are not known to have it yet. What its system calls it is told the platform alone."""

    id: str
    name: str | None


class Version(Shown):
    """A version. `weight` is its share of the requests while it is live, in percent, `wanted_weight` what it is to
    get when engines have it. Until `wanted_until` it waits for those of the hosts in `waits_for`, which names none
    where no engine of the base model is there. `manifest` is what was signed. `failure`: why its last step failed.
    """

    version: int
    state: AdapterState
    weight: int | None
    wanted_weight: int | None
    wanted_until: Time | None
    waits_for: list[WaitedFor]
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


class Adapters(Shown):
    """Some adapters, and the cursor of the next ones."""

    data: list[Adapter]
    next: str | None


def adapter_shown(call: Call, reader: Reader, row: Row, versions: Versions) -> Adapter:
    """What is said of an adapter."""
    return Adapter(
        name=row.name,
        model=row.alias,
        base_model=row.base_model,
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        versions=[version_shown(one, _waits_for(call, reader, one)) for one in versions],
    )


def _waits_for(call: Call, reader: Reader, version: AdapterVersion) -> list[WaitedFor]:
    if version.wanted_weight is None:
        return []
    hosts = hosts_for(reader, version, dt.datetime.now(dt.UTC))
    missing = states.missing_of(version, hosts)
    return [WaitedFor(id=one, name=hosts[one] if call.asker.is_admin else None) for one in missing]


def version_shown(row: AdapterVersion, waits_for: Sequence[WaitedFor] = ()) -> Version:
    """What is said of a version."""
    moments = {name: getattr(row, name) for name in ("staged_at", "live_at", "retired_at")}
    return Version(
        version=row.number,
        state=row.state,
        weight=row.weight,
        wanted_weight=row.wanted_weight,
        wanted_until=text_of(row.wanted_at + states.PROMOTED_WITHIN) if row.wanted_at else None,
        waits_for=list(waits_for),
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
