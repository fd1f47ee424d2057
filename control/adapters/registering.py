"""A version's way into the registry, and out of it: its row, its files, and what both say of each other.

The row is there before the files are stored, and goes after them, so that no file is ever nobody's. What is long is
done between units of work.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from control.adapters.arriving import Arrived
from control.adapters.facts import facts_of
from control.adapters.found import MOST_VERSIONS, adapter_of, check_base, check_owner
from control.adapters.recorded import record_version
from control.adapters.states import check_deletable, retire, validate, version_of
from control.adapters.told import Told
from control.call import Call
from control.problems import Finding, Problem, conflict, invalid, secret_away
from control.store.adapters import (
    delete_version,
    insert_version,
    take_number,
    touch_adapter,
    update_versions,
    versions_of,
)
from control.store.values import AdapterVersion
from headgate.adapters import publishing
from headgate.adapters.checks import BaseModel
from headgate.adapters.failures import AlreadyPublished, KeyAway, Unacceptable
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import Manifest, digest_of
from headgate.adapters.model_revision import revision_of
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.publishing import NewVersion, publish
from headgate.declared import DeclaredTarget
from headgate.objects.failures import ObjectsError

_LONGEST_FAILURE = 1000


def register(call: Call, owner: str, name: str, files: Arrived, told: Told) -> AdapterVersion:
    """Checks, stores and signs what has arrived. Raises Problem; what was not accepted stays, and says why."""
    version, engines = _begun(call, owner, name, files, told)
    try:
        manifest = _published(call, version, engines, files, told)
    except Unacceptable as error:
        _failed(call, version, str(error))
        raise Problem(422, "adapter_not_acceptable", str(error)) from None
    except KeyAway:
        _failed(call, version, "the key that signs can't be read")
        raise secret_away() from None
    except (ObjectsError, AlreadyPublished) as error:
        _failed(call, version, str(error))
        raise _objects_away(error) from None
    facts, digest = facts_of(manifest), digest_of(manifest)
    made = replace(validate(version), rank=manifest.rank, manifest_sha256=digest, facts=facts)
    return _written(call, version, made)


def unregister(call: Call, owner: str, name: str, number: int) -> None:
    """Removes a version and its files. Raises Problem."""
    with call.change() as unit:
        check_owner(call, unit, changes=True)
        adapter_of(call, unit, name)
        versions = versions_of(unit, owner, name)
        version = version_of(versions, number)
        check_deletable(version)
        if version.state != "retired":  # or it could be promoted while its files go
            for after in update_versions(unit, retire(versions, number, unit.now)):
                record_version(unit, version_of(versions, after.number), after)
    try:
        publishing.delete_version(_access(call).store(), AdapterId(owner, name, number))
    except ObjectsError as error:
        raise _objects_away(error) from None
    with call.change() as unit:
        version = version_of(versions_of(unit, owner, name), number)
        delete_version(unit, version)
        touch_adapter(unit, adapter_of(call, unit, name))
        record_version(unit, version, None)


def _begun(
    call: Call, owner: str, name: str, files: Arrived, told: Told
) -> tuple[AdapterVersion, list[DeclaredTarget]]:
    with call.change() as unit:
        check_owner(call, unit, changes=True)
        adapter = adapter_of(call, unit, name)
        engines = check_base(call, unit, owner, name, adapter.base_model)
        if len(versions_of(unit, owner, name)) >= MOST_VERSIONS:
            raise conflict("too_many", f"an adapter has at most {MOST_VERSIONS} versions: delete some")
        if (parent := told.lineage.parent) and parent > adapter.last_number:  # one that was deleted is one, too
            at = "query.parent"
            raise invalid(Finding(at=at, expected="an earlier version of this adapter", found=str(parent)))
        number = take_number(unit, adapter).last_number
        said: dict[str, Any] = {"sha256": files.sha256, "size_bytes": files.size_bytes, "facts": {}}
        named: dict[str, Any] = {"tenant_id": owner, "name": name, "number": number, "created_by": call.creator}
        made = insert_version(unit, AdapterVersion(**named, **said))
        record_version(unit, None, made)
    return made, engines


def _published(
    call: Call, version: AdapterVersion, engines: list[DeclaredTarget], files: Arrived, told: Told
) -> Manifest:
    access, row = _access(call), call.declared.adapters
    served, *others = dict.fromkeys(target.model for target in engines)
    names = [name for target in (served, *others) for name in (target, *row.base_names.get(target, ()))]
    folders = [Path(folder) for target in (served, *others) for folder in row.model_folders.get(target, ())]
    revisions = frozenset(filter(None, map(revision_of, folders)))
    base = BaseModel(served, min(target.max_lora_rank for target in engines), revisions, frozenset(names))
    said = told.revision, told.lineage, told.metrics
    new = NewVersion(AdapterId(version.tenant_id, version.name, version.number), files.weights, files.config, *said)
    return publish(access.store(), access.signing_key(), new, base, row.max_size_bytes)


def _failed(call: Call, version: AdapterVersion, why: str) -> None:
    _written(call, version, validate(version, why[:_LONGEST_FAILURE]))


def _written(call: Call, before: AdapterVersion, after: AdapterVersion) -> AdapterVersion:
    with call.change() as unit:
        (written,) = update_versions(unit, (after,))
        record_version(unit, before, written)
    return written


def _access(call: Call) -> AdapterAccess:
    return AdapterAccess(call.declared.adapters, call.tools.state)


def _objects_away(error: Exception) -> Problem:
    text = f"the store of objects can't take or give this now: {error}"
    return Problem(503, "objects_away", text, headers={"retry-after": "5"})
