"""What becomes of a version whose files have arrived: checked, stored and signed, or why not. Blocks; no SQL."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from control.adapters.facts import facts_of
from control.adapters.objects import Objects
from control.adapters.room import check_free
from control.adapters.states import validate
from control.adapters.uploads import Upload
from control.store.values import AdapterVersion
from headgate.adapter_row import AdapterRow
from headgate.adapters.checks import BaseModel
from headgate.adapters.failures import AlreadyPublished, Unacceptable
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import Manifest, digest_of
from headgate.adapters.model_revision import revision_of
from headgate.adapters.publishing import NewVersion, delete_version, fetch_manifest, publish
from headgate.declared import DeclaredTarget
from headgate.objects.failures import ObjectsError, StoreFull

_LONGEST_FAILURE = 1000


def checked(
    objects: Objects, row: AdapterRow, version: AdapterVersion, engines: Sequence[DeclaredTarget], upload: Upload
) -> AdapterVersion:
    """The version as it is then: validated, or with its failure. What a killed process has begun is gone on with.

    `engines` are the targets that are to load it.

    Raises Problem (507), KeyAway, Untrusted, ObjectsError, OSError and StoreError: later it may be well.
    """
    store, key = objects.to_write(), objects.access().signing_key()
    check_free(store.free_bytes(), version.size_bytes, row.min_free_bytes)
    said = upload.told.revision, upload.told.lineage, upload.told.metrics
    new = NewVersion(id_of(version), upload.weights, upload.config, *said)
    try:
        manifest = publish(store, key, new, _base_of(row, engines), row.max_size_bytes)
    except Unacceptable as error:
        return failed(version, str(error))
    except AlreadyPublished:
        manifest, _, _ = fetch_manifest(store, new.id, objects.access().trusted())
    except StoreFull:
        delete_version(store, new.id)
        raise
    if manifest.weights.sha256 != version.sha256:  # a crash of the machine has cut the file
        return failed(version, f"its weights are not those that were sent: {manifest.weights.sha256}")
    return _accepted(version, manifest)


def failed(version: AdapterVersion, why: str) -> AdapterVersion:
    """It stays as it was uploaded, and says why."""
    return validate(version, why[:_LONGEST_FAILURE])


def discard(objects: Objects, version: AdapterId) -> None:
    """The files of a version that is there no more. Raises ObjectsError, StoreError."""
    delete_version(objects.to_read(), version)


def id_of(version: AdapterVersion) -> AdapterId:
    """As the store of objects knows it."""
    return AdapterId(version.tenant_id, version.name, version.number)


def failure_of(error: Exception) -> str:
    """What a version says of what was in the way."""
    return str(error) if isinstance(error, ObjectsError) else "the key that signs can't be read"


def _base_of(row: AdapterRow, engines: Sequence[DeclaredTarget]) -> BaseModel:
    served, *others = dict.fromkeys(target.model for target in engines)
    names = [name for target in (served, *others) for name in (target, *row.base_names.get(target, ()))]
    folders = [Path(folder) for target in (served, *others) for folder in row.model_folders.get(target, ())]
    revisions = frozenset(filter(None, map(revision_of, folders)))
    return BaseModel(served, min(target.max_lora_rank for target in engines), revisions, frozenset(names))


def _accepted(version: AdapterVersion, manifest: Manifest) -> AdapterVersion:
    facts, digest = facts_of(manifest), digest_of(manifest)
    return replace(validate(version), rank=manifest.rank, manifest_sha256=digest, facts=facts)
