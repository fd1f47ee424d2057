"""The way of an adapter into the store, and out of it for good."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headgate.adapters import layout
from headgate.adapters.checks import MAX_CONFIG_BYTES, MOST_BYTES, BaseModel, Facts, check_adapter
from headgate.adapters.failures import AlreadyPublished, NoSuchVersion, Unacceptable, Untrusted
from headgate.adapters.layout import AdapterId
from headgate.adapters.manifest import MAX_BYTES, Base, File, Lineage, Manifest, canonical, read_manifest
from headgate.adapters.signature import MAX_SIGNATURE_BYTES, SigningKey, TrustedKeys
from headgate.objects.failures import NoSuchObject, TooLarge
from headgate.objects.marker import check_marked
from headgate.objects.store import CHUNK_BYTES, ObjectStore, Written, read_small


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be published: two files of the caller's own, which nobody else writes to meanwhile, and what is said
    of them: the base model's `revision` that it was trained on, and as in `Manifest`.
    """

    id: AdapterId
    weights: Path
    config: Path
    revision: str | None = None
    lineage: Lineage = field(default_factory=Lineage)
    metrics: Mapping[str, float] = field(default_factory=dict)


def publish(
    store: ObjectStore, key: SigningKey, new: NewVersion, base: BaseModel, most_bytes: int = MOST_BYTES
) -> Manifest:
    """Checks the files, stores them, signs. The version is there from its last file, the signature, on.

    What a killed process has left of this version is written over. Raises Unacceptable, AlreadyPublished,
    ObjectsError, OSError.
    """
    if store.head(new.id.object(layout.SIGNATURE)) is not None:
        raise AlreadyPublished(f"{new.id} is there already")
    facts = check_adapter(new.weights, new.config, base, most_bytes, new.revision)
    try:
        weights = _put(store, new.id.object(layout.WEIGHTS), new.weights, most_bytes)
        config = _put(store, new.id.object(layout.CONFIG), new.config, MAX_CONFIG_BYTES)
    except TooLarge as error:
        raise Unacceptable([str(error)]) from None
    manifest = Manifest(
        tenant=new.id.tenant,
        adapter=new.id.adapter,
        version=new.id.version,
        base=Base(base.model, _revision(facts, base)),
        rank=facts.rank,
        alpha=facts.alpha,
        target_modules=facts.target_modules,
        weights=File(weights.sha256, weights.size_bytes),
        config=File(config.sha256, config.size_bytes),
        created=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        lineage=new.lineage,
        metrics=dict(new.metrics),
    )
    try:
        content = canonical(manifest)
    except ValueError as error:
        raise Unacceptable([f"manifest.json: {error}"]) from None
    store.put(new.id.object(layout.MANIFEST), [content], MAX_BYTES)
    store.put(new.id.object(layout.SIGNATURE), [key.sign(content)], MAX_SIGNATURE_BYTES)
    return manifest


def _revision(facts: Facts, base: BaseModel) -> str | None:
    """That of the engines, where it is known, else what the adapter was said to be trained on."""
    return next(iter(base.revisions)) if len(base.revisions) == 1 else facts.revision


def fetch_manifest(store: ObjectStore, adapter: AdapterId, trusted: TrustedKeys) -> tuple[Manifest, bytes, bytes]:
    """The manifest, its canonical bytes and its signature's. Raises NoSuchVersion, Untrusted, ObjectsError."""
    try:
        signed = read_small(store, adapter.object(layout.SIGNATURE), MAX_SIGNATURE_BYTES)
        content = read_small(store, adapter.object(layout.MANIFEST), MAX_BYTES)
    except NoSuchObject:
        check_marked(store)
        raise NoSuchVersion(f"{adapter} is not in the store") from None
    except TooLarge as error:
        raise Untrusted(f"{adapter}: {error}") from None
    return verified(adapter, content, signed, trusted), content, signed


def verified(adapter: AdapterId, content: bytes, signed: bytes, trusted: TrustedKeys) -> Manifest:
    """The manifest, if a trusted key has signed it for exactly this version. Raises Untrusted."""
    trusted.verify(content, signed)
    manifest = read_manifest(content)
    if manifest.id != adapter:
        raise Untrusted(f"{adapter}: its manifest is that of {manifest.id}")
    return manifest


def versions(store: ObjectStore, tenant: str, adapter: str) -> list[int]:
    """All that were published to their end, oldest first. Raises ObjectsError."""
    prefix = layout.adapter_prefix(tenant, adapter)
    ends = (entry.name.removeprefix(prefix).partition("/") for entry in store.listed(prefix))
    return sorted(int(version) for version, _, file in ends if file == layout.SIGNATURE and version.isdecimal())


def delete_version(store: ObjectStore, adapter: AdapterId) -> int:
    """How many objects were deleted; the signature goes first, so a part is no version. Raises ObjectsError."""
    store.delete(adapter.object(layout.SIGNATURE))
    return _delete_all(store, adapter.prefix)


def delete_adapter(store: ObjectStore, tenant: str, adapter: str) -> int:
    """The same for all versions, with what half a publishing has left."""
    return _delete_all(store, layout.adapter_prefix(tenant, adapter))


def delete_tenant(store: ObjectStore, tenant: str) -> int:
    """The same for all that a tenant has. May be called again at any time."""
    return _delete_all(store, layout.tenant_prefix(tenant))


def objects_of(store: ObjectStore, tenant: str) -> int:
    """How many objects there are of a tenant's, from a look at what is there. Raises ObjectsError."""
    return sum(1 for _ in store.listed(layout.tenant_prefix(tenant)))


def stored_versions(store: ObjectStore, before_s: float) -> set[AdapterId]:
    """All of which there are objects, finished or not, but none that was written since `before_s`, in Unix time."""
    newest: dict[AdapterId, float] = {}
    for entry in store.listed(layout.ROOT):
        if adapter := layout.of_object(entry.name):
            newest[adapter] = max(newest.get(adapter, 0.0), entry.modified_s)
    return {adapter for adapter, modified_s in newest.items() if modified_s < before_s}


def _delete_all(store: ObjectStore, prefix: str) -> int:
    names = [entry.name for entry in store.listed(prefix)]
    for name in sorted(names, key=lambda name: not name.endswith(f"/{layout.SIGNATURE}")):
        store.delete(name)
    return len(names)


def _put(store: ObjectStore, name: str, path: Path, most_bytes: int) -> Written:
    return store.put(name, _chunks_of(path), most_bytes)


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
