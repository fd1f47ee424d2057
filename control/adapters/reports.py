"""What engines say of a version: has it come to be live, or does it stay where it is."""

import datetime as dt

import msgspec

from control.adapters.recorded import record_version
from control.adapters.states import fail, stage, version_of
from control.audit_chain import Actor
from control.problems import Problem, conflict, not_found
from control.store.adapters import find_adapter, update_versions, versions_of
from control.store.failures import StoreError
from control.store.hosts import list_hosts
from control.store.store import Store
from control.store.unit import Reader
from control.store.values import AdapterVersion
from headgate.adapter_reports import LONGEST_REASON, AdapterReport

ENGINES = Actor("system", "engines")
HOST_IS_AWAY = dt.timedelta(minutes=3)  # without a sign of life, of which there is one a minute


def take_report(store: Store, host: str, report: AdapterReport) -> None:
    """What this host's engines say. Raises Problem and StoreError; what is known already changes nothing."""
    with store.read() as reader:
        if not _changes(reader, host, report, dt.datetime.now(dt.UTC)):
            return
    with store.write(ENGINES) as unit:
        changed = _changes(unit, host, report, unit.now)
        before = versions_of(unit, report.tenant, report.adapter)
        for after in update_versions(unit, changed):
            record_version(unit, version_of(before, after.number), after)


def _changes(reader: Reader, host: str, report: AdapterReport, now: dt.datetime) -> tuple[AdapterVersion, ...]:
    if find_adapter(reader, report.tenant, report.adapter) is None:
        raise not_found("adapter")
    versions = versions_of(reader, report.tenant, report.adapter)
    version = version_of(versions, report.version)
    if version.sha256 != report.sha256:
        raise conflict("wrong_state", f"version {version.number} has other weights")
    if report.reason is not None:
        return fail(versions, report.version, report.reason[:LONGEST_REASON])
    if version.state not in ("validated", "staged", "live"):
        raise conflict("wrong_state", f"version {version.number} is {version.state}")
    here = {one.id for one in list_hosts(reader) if now - one.seen_at <= HOST_IS_AWAY}
    return stage(versions, report.version, host, {host, *here}, now)


def answer_to(store: Store, host: str, body: bytes) -> tuple[int, str]:
    """A status, and what to say of it. Raises nothing that a request can cause."""
    try:
        take_report(store, host, msgspec.json.decode(body, type=AdapterReport))
    except msgspec.DecodeError as error:
        return 400, str(error)
    except Problem as problem:
        return problem.status, problem.detail
    except StoreError as error:
        return 503, str(error)
    return 204, ""
