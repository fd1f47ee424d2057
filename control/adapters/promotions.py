"""Which hosts a promotion waits for, and what becomes of it when one of them is gone, or its time is over.

Those count whose engines have said within `HOST_IS_AWAY` that they load adapters of the base model, but for those
that have said that this one is none of theirs.
"""

import datetime as dt
from collections import Counter

from control.adapters.recorded import record_version
from control.adapters.states import Versions, missing_of, settle, version_of
from control.audit_chain import Actor
from control.store.adapters import find_adapter, update_versions, versions_of, wanted_versions
from control.store.hosts import list_hosts
from control.store.store import Store
from control.store.unit import Reader, Unit
from control.store.values import AdapterVersion
from headgate.adapter_metrics import ADAPTER_PROMOTIONS

ENGINES = Actor("system", "engines")
HOST_IS_AWAY = dt.timedelta(minutes=3)  # without a word of its engines, of which there is one every 30 s
NOBODY = "none"  # in a host's place: no engine of the base model is there


def hosts_for(reader: Reader, version: AdapterVersion, now: dt.datetime) -> dict[str, str]:
    """Hosts whose engines have to have it: their names by id."""
    adapter = find_adapter(reader, version.tenant_id, version.name)
    return {
        host.id: host.name
        for host in list_hosts(reader)
        if adapter is not None
        and host.engines_at is not None
        and now - host.engines_at <= HOST_IS_AWAY
        and adapter.base_model in host.adapter_bases
        and version.manifest_sha256 not in host.adapters_elsewhere
    }


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
            if not changed:
                waiting.update([hosts[one] for one in missing_of(version, hosts)] or [NOBODY])
                continue
            with self._store.write(ENGINES) as unit:  # as it is by now: each host does this
                write(unit, version, _settled(unit, version, unit.now))
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
