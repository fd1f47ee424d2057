"""What engines say of a version: has it come to be live, or does it stay where it is."""

import datetime as dt

import msgspec

from control.adapters.promotions import ENGINES, hosts_for, write
from control.adapters.states import fail, stage, version_of
from control.problems import Problem, conflict, not_found
from control.store.adapters import find_adapter, versions_of
from control.store.failures import StoreError
from control.store.hosts import note_engines
from control.store.store import Store
from control.store.unit import Reader
from control.store.values import AdapterVersion, Host
from headgate.adapter_reports import LONGEST_REASON, AdapterReport, HostReport, Taken


def answer_to(store: Store, host: Host, body: bytes) -> tuple[int, bytes]:
    """A status, and what to say of it. Raises nothing that a request can cause."""
    try:
        return 200, msgspec.json.encode(_taken(store, host, msgspec.json.decode(body, type=HostReport)))
    except msgspec.DecodeError as error:
        return 400, str(error).encode()
    except StoreError as error:
        return 503, str(error).encode()


def _taken(store: Store, host: Host, said: HostReport) -> Taken:
    with store.write_aside() as writer:
        note_engines(writer, host, said.serves.bases, said.serves.elsewhere, said.serves.unserved)
    return Taken(tuple(_refusal(store, host.id, one) for one in said.reports))


def _refusal(store: Store, host: str, report: AdapterReport) -> str | None:
    try:
        _take(store, host, report)
    except Problem as problem:
        return problem.detail
    return None


def _take(store: Store, host: str, report: AdapterReport) -> None:
    """What this host's engines say. Raises Problem and StoreError; what is known already changes nothing."""
    with store.read() as reader:
        version, changed = _changes(reader, host, report, dt.datetime.now(dt.UTC))
    if changed:
        with store.write(ENGINES) as unit:
            version, changed = _changes(unit, host, report, unit.now)
            write(unit, version, changed)


def _changes(
    reader: Reader, host: str, report: AdapterReport, now: dt.datetime
) -> tuple[AdapterVersion, tuple[AdapterVersion, ...]]:
    if find_adapter(reader, report.tenant, report.adapter) is None:
        raise not_found("adapter")
    versions = versions_of(reader, report.tenant, report.adapter)
    version = version_of(versions, report.version)
    if version.sha256 != report.sha256:
        raise conflict("wrong_state", f"version {version.number} has other weights")
    if report.reason is not None:
        return version, fail(versions, report.version, report.reason[:LONGEST_REASON])
    if version.state not in ("validated", "staged", "live"):
        raise conflict("wrong_state", f"version {version.number} is {version.state}")
    return version, stage(versions, report.version, host, {host, *hosts_for(reader, version, now)}, now)
