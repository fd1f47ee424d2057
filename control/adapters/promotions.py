"""Which hosts a promotion waits for, and what becomes of it when one of them is gone, or its time is over.

Those count whose engines have said within `HOST_IS_AWAY` that they load adapters of the base model, but for those
that have said that this one is none of theirs.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable

import structlog

from control.adapters.recorded import record_version
from control.adapters.states import Versions, missing_of, settle, version_of
from control.audit_chain import Actor
from control.store.adapters import find_adapter, update_versions, versions_of, wanted_versions
from control.store.hosts import list_hosts
from control.store.store import Store
from control.store.unit import Reader, Unit
from control.store.values import AdapterVersion, Host
from headgate.adapter_metrics import ADAPTER_PROMOTIONS

log = structlog.get_logger()

ENGINES = Actor("system", "engines")
HOST_IS_AWAY = dt.timedelta(minutes=3)  # without a word of its engines, of which there is one every 30 s
NOBODY = "none"  # in a host's place: no engine of the base model is there


def hosts_for(reader: Reader, version: AdapterVersion, now: dt.datetime) -> dict[str, str]:
    """Hosts whose engines have to have it: their names by id."""
    adapter = find_adapter(reader, version.tenant_id, version.name)
    if adapter is None:
        return {}
    return {host.id: host.name for host in counting(list_hosts(reader), adapter.base_model, version, now)}


def counting(hosts: Iterable[Host], base_model: str, version: AdapterVersion, now: dt.datetime) -> list[Host]:
    """Those of the hosts whose engines have to have a version of an adapter of that model."""
    return [
        host
        for host in hosts
        if host.engines_at is not None
        and now - host.engines_at <= HOST_IS_AWAY
        and base_model in host.adapter_bases
        and version.manifest_sha256 not in host.adapters_elsewhere
    ]


class Promotions:
    """All that wait. Call `settle` now and then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shown: set[str] = set()

    def settle(self) -> None:
        """As far as nobody has to say anything more. Raises StoreError."""
        now, waiting = dt.datetime.now(dt.UTC), Counter[str]()
        with self._store.read() as reader:
            wanted = [
                (one, _settled(reader, one, now), hosts_for(reader, one, now)) for one in wanted_versions(reader)
            ]
        for version, changed, hosts in wanted:
            missing = [hosts[one] for one in missing_of(version, hosts)]
            if not changed:
                waiting.update(missing or [NOBODY])
                continue
            with self._store.write(ENGINES) as unit:  # as it is by now: each host does this
                write(unit, version, _settled(unit, version, unit.now))
            log.info("a promotion has ended", adapter=version.engine_name, hosts_without=missing)
        self._shown |= waiting.keys()
        for host in self._shown:
            ADAPTER_PROMOTIONS.labels(host).set(waiting[host])


def write(unit: Unit, version: AdapterVersion, changed: Versions) -> None:
    """What engines have made of an adapter's versions."""
    before = versions_of(unit, version.tenant_id, version.name)
    for after in update_versions(unit, changed):
        record_version(unit, version_of(before, after.number), after)


def _settled(reader: Reader, version: AdapterVersion, now: dt.datetime) -> Versions:
    return settle(versions_of(reader, version.tenant_id, version.name), hosts_for(reader, version, now), now)
