"""What killed processes have left of uploads: gone on with where their files are here, else said and removed.

uploads     on this host's disk, held by nobody: the check goes on
versions    `uploaded` for a day, without a failure: whoever took the files has gone with them
objects     for a day and of no version: removed. A version's row is there before its first object
"""

import datetime as dt
import time

import structlog

from control.adapters import uploads
from control.adapters.checking import checked, discard, failed, id_of
from control.adapters.found import no_engine
from control.adapters.objects import Objects
from control.adapters.reach import DeclaredReach
from control.adapters.recorded import record_version
from control.adapters.uploads import Upload
from control.audit_chain import Actor
from control.problems import Problem
from control.store.adapters import all_versions, find_adapter, find_version, update_versions
from control.store.failures import Missing, Stale
from control.store.store import Store
from control.store.values import AdapterVersion
from headgate.adapter_targets import adapter_targets
from headgate.adapters.failures import AdapterError
from headgate.adapters.layout import AdapterId
from headgate.adapters.publishing import delete_version, stored_versions
from headgate.declared import Declared, DeclaredTarget
from headgate.objects.failures import ObjectsError

UPLOADS = Actor("system", "uploads")
NOBODYS_AFTER = dt.timedelta(hours=24)
INTERRUPTED = "the gateway ended before it was checked, and its files are gone: push it again"

log = structlog.get_logger()


def go_on(store: Store, objects: Objects, declared: Declared) -> None:
    """With the uploads that nobody works on. Raises StoreError."""
    for upload in uploads.left(objects.state):
        try:
            _go_on(store, objects, declared, upload)
        except (Problem, AdapterError, ObjectsError, OSError) as error:
            said = error.detail if isinstance(error, Problem) else str(error)
            log.info("an upload waits to be checked", version=str(upload.id), reason=said)


def tidy(store: Store, objects: Objects) -> None:
    """Says what became of versions whose files are gone, and removes objects of none. Raises as its stores do.

    The store of objects is looked at before the database: what comes in between has its row, and stays.
    """
    now = dt.datetime.now(dt.UTC)
    with store.read() as reader:
        lost = [one for one in all_versions(reader) if _is_open(one) and now - one.created_at > NOBODYS_AFTER]
    for version in lost:
        _write(store, version, failed(version, INTERRUPTED))
    objects_there = objects.mine()
    if objects_there is None:
        return
    stored = stored_versions(objects_there, time.time() - NOBODYS_AFTER.total_seconds())
    with store.read() as reader:
        kept = {id_of(one) for one in all_versions(reader) if one.state != "uploaded" or _is_open(one)}
    for adapter in sorted(stored - kept, key=str):
        count = delete_version(objects_there, adapter)
        log.info("objects of no version were removed", version=str(adapter), objects=count)


def _go_on(store: Store, objects: Objects, declared: Declared, upload: Upload) -> None:
    if upload.id is None:
        return
    version, base_model, engines = _found(store, declared, upload.id)
    if version is None:
        discard(objects, upload.id)
    elif _is_open(version):
        after = _after(objects, declared, version, base_model, engines, upload)
        if _write(store, version, after):
            log.info("an upload was checked after a restart", version=str(upload.id), failure=after.failure)
        else:
            discard(objects, upload.id)
    upload.remove()


def _after(
    objects: Objects,
    declared: Declared,
    version: AdapterVersion,
    base_model: str,
    engines: list[DeclaredTarget],
    upload: Upload,
) -> AdapterVersion:
    if not (upload.weights.exists() and upload.config.exists()):
        return failed(version, INTERRUPTED)
    if not engines:
        return failed(version, no_engine(version.tenant_id, base_model))
    return checked(objects, declared.adapters, version, engines, upload)


def _found(
    store: Store, declared: Declared, adapter: AdapterId
) -> tuple[AdapterVersion | None, str, list[DeclaredTarget]]:
    """With its base model, and the targets that are to load it."""
    owner, name = adapter.tenant, adapter.adapter
    with store.read() as reader:
        version, row = find_version(reader, owner, name, adapter.version), find_adapter(reader, owner, name)
        base_model = row.base_model if row else ""
        return version, base_model, adapter_targets(owner, name, base_model, DeclaredReach(declared, reader))


def _is_open(version: AdapterVersion) -> bool:
    """Nobody has said yet what became of it."""
    return version.state == "uploaded" and version.failure is None


def _write(store: Store, before: AdapterVersion, after: AdapterVersion) -> bool:
    """Whether it was still there."""
    try:
        with store.write(UPLOADS) as unit:
            (written,) = update_versions(unit, (after,))
            record_version(unit, before, written)
    except (Missing, Stale):
        return False
    return True
