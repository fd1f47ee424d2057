"""Adapters and their versions as the admin API shows them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from control.adapters import states
from control.adapters.facts import manifest_of
from control.adapters.promotions import counting
from control.adapters.states import Versions
from control.call import Call
from control.fields import Shown, Time
from control.masking import text_of
from control.store.hosts import list_hosts
from control.store.unit import Reader
from control.store.values import Adapter as Row
from control.store.values import AdapterVersion, Host
from headgate.directory.rows import AdapterState


class WaitedFor(Shown):
    """A host whose engines are not known to have it yet. Which one it is is told the platform alone."""

    id: str | None
    name: str | None


class Version(Shown):
    """A version. `weight` is its share of the requests while it is live, in percent, `wanted_weight` what it is to
    get when engines have it. Until `wanted_until` it waits for those of the hosts in `waits_for`, which names none
    where no engine of the base model is there. `manifest` is what was signed. `failure`: why its last step failed,
    `unserved`: why no replica has it although it is live. `staged_on`: hosts, which are told the platform alone.
    """

    version: int
    state: AdapterState
    weight: int | None
    wanted_weight: int | None
    wanted_until: Time | None
    waits_for: list[WaitedFor]
    failure: str | None
    unserved: str | None
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
    alone_at: Time | None
    retired_at: Time | None


class Adapter(Shown):
    """An adapter; clients ask for it as `model`. Its versions are those that are not deleted, the oldest first. A
    rollback goes to the version `rollback_to`.
    """

    name: str
    model: str
    base_model: str
    created_at: Time
    created_by: str
    rollback_to: int | None
    versions: list[Version]


class Adapters(Shown):
    """Some adapters, and the cursor of the next ones."""

    data: list[Adapter]
    next: str | None


class Hosts:
    """Those that there are, asked once for all adapters that an answer shows."""

    def __init__(self, call: Call, reader: Reader) -> None:
        self._is_admin = call.asker.is_admin
        self._hosts = list_hosts(reader)
        self._now = dt.datetime.now(dt.UTC)

    def adapter_shown(self, row: Row, versions: Versions) -> Adapter:
        """What is said of an adapter."""
        to = states.rolled_back_to(versions)
        return Adapter(
            name=row.name,
            model=row.alias,
            base_model=row.base_model,
            created_at=text_of(row.created_at),
            created_by=row.created_by,
            rollback_to=to.number if to else None,
            versions=[self._version_shown(one, row.base_model) for one in versions],
        )

    def _version_shown(self, version: AdapterVersion, base_model: str) -> Version:
        hosts = counting(self._hosts, base_model, version, self._now)
        said: dict[str, Any] = {"staged_on": list(version.staged_on) if self._is_admin else []}
        if version.wanted_weight is not None:
            said["waits_for"] = self._waits_for(version, {host.id: host.name for host in hosts})
        if version.state == "live":
            said["unserved"] = _unserved(version, hosts)
        return version_shown(version).model_copy(update=said)

    def _waits_for(self, version: AdapterVersion, names: Mapping[str, str]) -> list[WaitedFor]:
        missing = states.missing_of(version, names)
        if self._is_admin:
            return [WaitedFor(id=one, name=names[one]) for one in missing]
        return [WaitedFor(id=None, name=None) for _ in missing]


def _unserved(version: AdapterVersion, hosts: Sequence[Host]) -> str | None:
    if not hosts:
        return "no engine that loads adapters of its base model is there"
    reasons = [host.adapters_unserved.get(version.manifest_sha256 or "") for host in hosts]
    found = [reason for reason in reasons if reason]
    if not found:
        return None
    where = "" if len(found) == len(hosts) else f" of {len(found)} of {len(hosts)} hosts"
    return f"no replica{where} has it: {found[0]}"


def version_shown(row: AdapterVersion) -> Version:
    """What is said of a version as such: nothing of hosts."""
    moments = {name: getattr(row, name) for name in ("staged_at", "live_at", "alone_at", "retired_at")}
    return Version(
        version=row.number,
        state=row.state,
        weight=row.weight,
        wanted_weight=row.wanted_weight,
        wanted_until=text_of(row.wanted_at + states.PROMOTED_WITHIN) if row.wanted_at else None,
        waits_for=[],
        failure=row.failure,
        unserved=None,
        engine_name=row.engine_name,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        rank=row.rank,
        manifest=manifest_of(row.facts),
        staged_on=[],
        created_at=text_of(row.created_at),
        created_by=row.created_by,
        **{name: None if moment is None else text_of(moment) for name, moment in moments.items()},
    )
