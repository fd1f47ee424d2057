"""An adapter's way from two files into the store, and from there to an engine's disk; and whom it is kept from."""

import hashlib
import multiprocessing
import os
from pathlib import Path

import msgspec
import pytest

from headgate.adapters import layout
from headgate.adapters.cache import AdapterCache
from headgate.adapters.failures import AlreadyPublished, NoSuchVersion, Untrusted
from headgate.adapters.layout import AdapterId, of_engine_name
from headgate.adapters.manifest import Lineage, Manifest, canonical, digest_of, read_manifest
from headgate.adapters.publishing import (
    NewVersion,
    delete_adapter,
    delete_tenant,
    delete_version,
    fetch_manifest,
    objects_of,
    publish,
    versions,
)
from headgate.adapters.signature import SigningKey, TrustedKeys
from headgate.objects.directory import DirectoryStore
from headgate.objects.failures import ObjectsError, StoreAway
from headgate.objects.marker import write_marker
from tests.adapters import made

KEY, OTHER = SigningKey(bytes(range(32))), SigningKey(bytes(32))
TRUSTED = TrustedKeys([KEY.public])
BOT = AdapterId("acme", "support-bot", 1)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "objects")
    write_marker(store, "0" * 64)
    return store


def published(
    store: DirectoryStore, folder: Path, adapter: AdapterId = BOT, key: SigningKey = KEY, value: float = 0.5
) -> Manifest:
    files = made.files(folder / "upload", made.safetensors(made.lora_shapes(), value=value))
    lineage = Lineage(parent=None, job="job_1", data_sha256="0" * 64)
    new = NewVersion(adapter, files.weights, files.config, None, lineage, {"eval/loss": 1.25})
    return publish(store, key, new, made.BASE)


def put(store: DirectoryStore, file: str, content: bytes, adapter: AdapterId = BOT) -> None:
    store.put(adapter.object(file), [content], 2**20)


def test_what_was_published_comes_to_an_engine_as_it_was(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    cached = AdapterCache(tmp_path / "cache").fetch(store, BOT, digest_of(manifest), TRUSTED)
    assert cached.manifest == manifest
    assert (cached.folder / "adapter_model.safetensors").read_bytes() == (tmp_path / "upload/weights").read_bytes()
    assert (cached.folder / "adapter_config.json").read_bytes() == (tmp_path / "upload/config").read_bytes()
    assert (manifest.rank, manifest.alpha, manifest.target_modules) == (4, 8.0, ("q_proj", "v_proj"))
    assert manifest.lineage.job == "job_1"
    assert manifest.metrics == {"eval/loss": 1.25}
    modes = {path: path.stat().st_mode & 0o777 for path in (cached.folder, *cached.folder.iterdir())}
    assert set(modes.values()) == {0o700, 0o600}


def test_the_name_on_engines_says_version_and_weights(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    digest = hashlib.sha256((tmp_path / "upload/weights").read_bytes()).hexdigest()
    assert manifest.engine_name == f"acme/support-bot@1-{digest[:8]}"
    assert of_engine_name(manifest.engine_name) == (BOT, digest[:8])


@pytest.mark.parametrize(
    "name", ["llama-3-8b", "acme/bot", "acme/bot@0-00000000", "a/b@1-0000000", "a/../b@1-00000000"]
)
def test_other_names_on_engines_are_not_ours(name: str) -> None:
    assert of_engine_name(name) is None


@pytest.mark.parametrize(
    ("tenant", "adapter", "version"),
    [
        ("acme", "..", 1),
        ("..", "bot", 1),
        ("acme", "a/b", 1),
        ("acme", "", 1),
        ("acme", "-bot", 1),
        ("acme", "bot", 0),
        ("acme", "bot", -1),
        ("acme", "bot", 10**10),
        ("acme", "bot\n", 1),
        ("acme", "b" * 64, 1),
        ("acme/x", "bot", 1),
    ],
)
def test_names_that_lead_elsewhere_are_none(tenant: str, adapter: str, version: int) -> None:
    with pytest.raises(ValueError, match=r"expected|not the name"):
        AdapterId(tenant, adapter, version)


def test_a_version_is_never_written_again(store: DirectoryStore, tmp_path: Path) -> None:
    first = published(store, tmp_path)
    with pytest.raises(AlreadyPublished):
        published(store, tmp_path, value=0.25)
    assert fetch_manifest(store, BOT, TRUSTED)[0] == first


def test_a_version_without_its_end_is_none_and_can_be_published(store: DirectoryStore, tmp_path: Path) -> None:
    put(store, layout.WEIGHTS, b"half of it")
    put(store, layout.MANIFEST, b"{}")
    with pytest.raises(NoSuchVersion):
        fetch_manifest(store, BOT, TRUSTED)
    assert versions(store, "acme", "support-bot") == []
    published(store, tmp_path)
    assert versions(store, "acme", "support-bot") == [1]


def test_versions_are_listed_by_number(store: DirectoryStore, tmp_path: Path) -> None:
    for version in (10, 2, 1):
        published(store, tmp_path, AdapterId("acme", "support-bot", version))
    published(store, tmp_path, AdapterId("acme", "support-bot.2", 7))
    assert versions(store, "acme", "support-bot") == [1, 2, 10]


def refused(
    store: DirectoryStore, tmp_path: Path, digest: str, adapter: AdapterId = BOT, trusted: TrustedKeys = TRUSTED
) -> str:
    cache = AdapterCache(tmp_path / "cache")
    with pytest.raises(Untrusted) as caught:
        cache.fetch(store, adapter, digest, trusted)
    assert cache.entries() == {}
    assert list((tmp_path / "cache" / ".drafts").iterdir()) == []
    return str(caught.value)


def test_changed_weights_are_not_loaded(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    put(store, layout.WEIGHTS, made.safetensors(made.lora_shapes(), value=0.25))
    assert "its SHA-256 is" in refused(store, tmp_path, digest_of(manifest))


def test_longer_weights_are_read_no_further_than_was_signed(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    put(store, layout.WEIGHTS, (tmp_path / "upload/weights").read_bytes() + b"\0")
    assert "larger than the manifest says" in refused(store, tmp_path, digest_of(manifest))


def test_a_changed_configuration_is_not_loaded(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    put(
        store,
        layout.CONFIG,
        (tmp_path / "upload/config").read_bytes().replace(b'"lora_alpha": 8', b'"lora_alpha": 9'),
    )
    assert "adapter_config.json: its SHA-256 is" in refused(store, tmp_path, digest_of(manifest))


def test_a_changed_manifest_is_not_believed(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    put(store, layout.MANIFEST, canonical(manifest).replace(b'"rank":4', b'"rank":8'))
    assert "not what key" in refused(store, tmp_path, digest_of(manifest))


def test_a_signature_of_an_unknown_key_is_none(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path, key=OTHER)
    text = refused(store, tmp_path, digest_of(manifest))
    assert f"signed with key {OTHER.id}, trusted are {KEY.id}" in text


def test_a_signature_with_another_keys_id_is_none(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    signed = msgspec.json.decode(OTHER.sign(canonical(manifest))) | {"key": KEY.id}
    put(store, layout.SIGNATURE, msgspec.json.encode(signed))
    assert "not what key" in refused(store, tmp_path, digest_of(manifest))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 1000, b'{"key":"","signature":""}', b"x" * 2000])
def test_what_is_no_signature_is_none(store: DirectoryStore, tmp_path: Path, content: bytes) -> None:
    manifest = published(store, tmp_path)
    put(store, layout.SIGNATURE, content)
    refused(store, tmp_path, digest_of(manifest))


@pytest.mark.parametrize(
    "other", [AdapterId("evil", "support-bot", 1), AdapterId("acme", "bot", 1), AdapterId("acme", "support-bot", 2)]
)
def test_a_signed_version_is_itself_and_no_other(store: DirectoryStore, tmp_path: Path, other: AdapterId) -> None:
    """All four files of one, copied to where another is looked for."""
    manifest = published(store, tmp_path)
    for file in (layout.WEIGHTS, layout.CONFIG, layout.MANIFEST, layout.SIGNATURE):
        with store.reading(BOT.object(file)) as chunks:
            store.put(other.object(file), chunks, 2**20)
    assert f"its manifest is that of {BOT}" in refused(store, tmp_path, digest_of(manifest), adapter=other)


def test_another_manifest_than_the_one_published_is_refused_though_it_is_signed(
    store: DirectoryStore, tmp_path: Path
) -> None:
    manifest = published(store, tmp_path)
    delete_version(store, BOT)
    published(store, tmp_path, value=0.25)
    assert "another manifest than the one that was published" in refused(store, tmp_path, digest_of(manifest))


def test_keys_take_each_others_place(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    both = TrustedKeys([OTHER.public, KEY.public])
    cache = AdapterCache(tmp_path / "cache")
    assert cache.fetch(store, BOT, digest_of(manifest), both).manifest == manifest
    with pytest.raises(Untrusted):  # and what is here already is not given out once its key is no longer trusted
        cache.fetch(store, BOT, digest_of(manifest), TrustedKeys([OTHER.public]))


def test_a_manifest_has_one_form(store: DirectoryStore, tmp_path: Path) -> None:
    content = canonical(published(store, tmp_path))
    assert canonical(read_manifest(content)) == content
    for other in (
        content + b"\n",
        content.replace(b":", b": ", 1),
        content.replace(b'"format":1', b'"format":2'),
        content.replace(b'"rank":4', b'"rank":4.0'),
        content.replace(b'"rank":4', b'"more":1,"rank":4'),
        content.replace(b'"rank":4', b'"rank":4,"rank":4'),
        content.replace(b'"rank":4', b'"rank":' + b"4" * 5000),
        content.replace(b'"eval/loss":1.25', b'"eval/loss":1e999'),
        content.replace(b'"tenant":"acme"', b'"tenant":".."'),
        content[:-1],
    ):
        assert other != content
        with pytest.raises(Untrusted):
            read_manifest(other)


@pytest.mark.parametrize("metric", [float("nan"), float("inf")])
def test_metrics_are_numbers(store: DirectoryStore, tmp_path: Path, metric: float) -> None:
    manifest = published(store, tmp_path)
    with pytest.raises(ValueError, match="finite"):
        canonical(msgspec.structs.replace(manifest, metrics={"loss": metric}))


def test_a_store_that_is_away_keeps_nobody_from_what_is_here(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    cache = AdapterCache(tmp_path / "cache")
    cache.fetch(store, BOT, digest_of(manifest), TRUSTED)
    delete_tenant(store, "acme")
    assert AdapterCache(tmp_path / "cache").fetch(store, BOT, digest_of(manifest), TRUSTED).manifest == manifest
    with pytest.raises(NoSuchVersion):
        cache.fetch(store, AdapterId("acme", "support-bot", 2), "0" * 64, TRUSTED)


def test_what_a_disk_has_spoiled_is_fetched_again(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    cache = AdapterCache(tmp_path / "cache")
    weights = cache.fetch(store, BOT, digest_of(manifest), TRUSTED).folder / layout.ENGINE_WEIGHTS
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"?")
    assert cache.fetch(store, BOT, digest_of(manifest), TRUSTED).manifest == manifest
    assert weights.read_bytes() == good


def _fetch_in_a_process(objects: str, cache: str, digest: str) -> None:
    AdapterCache(Path(cache)).fetch(DirectoryStore(Path(objects)), BOT, digest, TRUSTED)


def test_processes_share_a_cache(store: DirectoryStore, tmp_path: Path) -> None:
    manifest = published(store, tmp_path)
    told = (str(tmp_path / "objects"), str(tmp_path / "cache"), digest_of(manifest))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fetch_in_a_process, args=told) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    cache = AdapterCache(tmp_path / "cache")
    assert cache.entries() == {digest_of(manifest): manifest}
    assert list((tmp_path / "cache" / ".drafts").iterdir()) == []


def test_what_was_used_longest_ago_goes_first_and_what_is_loaded_stays(store: DirectoryStore, tmp_path: Path) -> None:
    cache, digests = AdapterCache(tmp_path / "cache"), []
    for version in (1, 2, 3):
        manifest = published(store, tmp_path, AdapterId("acme", "support-bot", version), value=version)
        digests.append(digest_of(manifest))
        folder = cache.fetch(store, manifest.id, digests[-1], TRUSTED).folder
        os.utime(folder, (version, version))
    assert list(cache.entries()) == digests
    cache.fetch(store, BOT, digests[0], TRUSTED)  # used again: now the second one is the oldest
    assert cache.evict(keep={digests[1]}, most_bytes=1) == [digests[2], digests[0]]
    assert set(cache.entries()) == {digests[1]}
    assert cache.evict(keep=(), most_bytes=2**30) == []


def test_a_tenants_adapters_go_with_it_and_nobody_elses(store: DirectoryStore, tmp_path: Path) -> None:
    cache = AdapterCache(tmp_path / "cache")
    for adapter in (BOT, AdapterId("acme", "other", 1), AdapterId("acme2", "support-bot", 1)):
        manifest = published(store, tmp_path, adapter)
        cache.fetch(store, adapter, digest_of(manifest), TRUSTED)
    put(store, layout.WEIGHTS, b"half of it", AdapterId("acme", "unfinished", 1))
    assert objects_of(store, "acme") == 9
    assert delete_tenant(store, "acme") == 9
    assert delete_tenant(store, "acme") == objects_of(store, "acme") == 0
    assert objects_of(store, "acme2") == 4
    assert cache.remove_tenant("acme") == 2
    assert [entry.tenant for entry in cache.entries().values()] == ["acme2"]
    assert not (tmp_path / "objects" / "adapters" / "acme").exists()


def test_one_version_or_all_of_an_adapter_can_be_deleted(store: DirectoryStore, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        published(store, tmp_path, AdapterId("acme", "support-bot", version))
    published(store, tmp_path, AdapterId("acme", "other", 1))
    assert delete_version(store, AdapterId("acme", "support-bot", 2)) == 3
    assert versions(store, "acme", "support-bot") == [1, 3]
    assert delete_adapter(store, "acme", "support-bot") == 8
    assert versions(store, "acme", "support-bot") == []
    assert versions(store, "acme", "other") == [1]


@pytest.mark.parametrize("file", [layout.WEIGHTS, layout.CONFIG, layout.MANIFEST, layout.SIGNATURE])
def test_a_publishing_that_breaks_off_anywhere_leaves_no_version(
    store: DirectoryStore, tmp_path: Path, file: str
) -> None:
    in_its_place = tmp_path / "objects" / BOT.object(file)
    in_its_place.mkdir(parents=True)
    with pytest.raises(ObjectsError):
        published(store, tmp_path)
    in_its_place.rmdir()
    assert versions(store, "acme", "support-bot") == []
    with pytest.raises(NoSuchVersion):
        fetch_manifest(store, BOT, TRUSTED)
    published(store, tmp_path)
    assert versions(store, "acme", "support-bot") == [1]


def test_what_is_missing_in_a_store_that_may_not_be_mounted_is_away_and_not_gone(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """The directory in which it is to be mounted is there, empty, from the beginning."""
    manifest = published(store, tmp_path)
    unmounted, cache = tmp_path / "mountpoint", AdapterCache(tmp_path / "cache")
    unmounted.mkdir()
    with pytest.raises(StoreAway, match=r"store\.json"):
        cache.fetch(DirectoryStore(unmounted), BOT, digest_of(manifest), TRUSTED)
    assert list(unmounted.iterdir()) == [], "or it would look like a store"
    (tmp_path / "objects" / BOT.object(layout.WEIGHTS)).unlink()
    with pytest.raises(NoSuchVersion):
        cache.fetch(store, BOT, digest_of(manifest), TRUSTED)
