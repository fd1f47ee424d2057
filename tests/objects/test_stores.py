"""What every store of objects does, in a directory and in S3: the same calls, the same answers."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from headgate.objects.directory import DirectoryStore
from headgate.objects.failures import NoSuchObject, TooLarge
from headgate.objects.store import ObjectStore, Written, read_small
from tests.objects.moto import PAGE, Moto, moto

NAME, MANY = "adapters/acme/bot/1/adapter.safetensors", 2**24


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    with moto() as server:
        yield server


@pytest.fixture(params=["directory", "s3", "s3 below a prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path, credentials: None) -> ObjectStore:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "objects")
    server: Moto = request.getfixturevalue("server")
    bucket = f"bucket-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}"
    server.make_bucket(bucket)
    return server.store(tmp_path, "one/two/" if "prefix" in request.param else "", bucket)


def names(store: ObjectStore, prefix: str) -> list[str]:
    return sorted(entry.name for entry in store.listed(prefix))


@pytest.mark.parametrize("size", [0, 1, 2**20, 3 * 2**20 + 7])
def test_what_was_put_is_there_as_it_was(store: ObjectStore, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"?" * (size % 256)
    written = store.put(NAME, [content[at : at + 100_000] for at in range(0, size, 100_000)], size)
    assert written == Written(size, hashlib.sha256(content).hexdigest())
    assert read_small(store, NAME, size) == content
    found = store.head(NAME)
    assert found is not None
    assert (found.name, found.size_bytes) == (NAME, size)
    assert next(iter(store.listed("adapters/acme/"))).size_bytes == size


def test_what_is_not_there_is_not_there(store: ObjectStore) -> None:
    assert store.head(NAME) is None
    assert names(store, "") == names(store, "adapters/acme/") == []
    store.delete(NAME)
    with pytest.raises(NoSuchObject), store.reading(NAME):
        raise AssertionError("never here")


def test_a_new_object_takes_the_place_of_the_old_one(store: ObjectStore) -> None:
    store.put(NAME, [b"old, and longer"], MANY)
    store.put(NAME, [b"new"], MANY)
    assert read_small(store, NAME, MANY) == b"new"
    store.delete(NAME)
    assert store.head(NAME) is None
    assert names(store, "") == []


def test_lists_have_what_begins_so_and_nothing_else(store: ObjectStore) -> None:
    for name in ("a/b/1/x", "a/b/1/y", "a/b/10/x", "a/bc/1/x", "a@b", "z"):
        store.put(name, [b"x"], MANY)
    assert names(store, "a/b/") == ["a/b/1/x", "a/b/1/y", "a/b/10/x"]
    assert names(store, "a/b/1/") == ["a/b/1/x", "a/b/1/y"]
    assert names(store, "") == ["a/b/1/x", "a/b/1/y", "a/b/10/x", "a/bc/1/x", "a@b", "z"]


def test_more_than_a_page_is_listed(store: ObjectStore) -> None:
    for number in range(2 * PAGE + 3):
        store.put(f"many/{number}", [b""], 0)
    assert len(set(names(store, "many/"))) == 2 * PAGE + 3


def test_more_than_is_allowed_is_not_stored(store: ObjectStore) -> None:
    store.put(NAME, [b"old"], MANY)
    with pytest.raises(TooLarge):
        store.put(NAME, (b"x" * 1000 for _ in range(2000)), 1_500_000)
    assert read_small(store, NAME, MANY) == b"old"


def test_a_source_that_breaks_off_stores_nothing(store: ObjectStore) -> None:
    def half() -> Iterator[bytes]:
        yield b"x" * 2**21
        _break()

    with pytest.raises(ConnectionResetError, match="the client went away"):
        store.put(NAME, half(), MANY)
    assert names(store, "") == []


def _break() -> NoReturn:
    raise ConnectionResetError("the client went away")


def test_a_reader_keeps_what_it_began(store: ObjectStore) -> None:
    store.put(NAME, [b"x" * 2**22], MANY)
    with store.reading(NAME) as chunks:
        first = next(chunks)
        store.put(NAME, [b"new"], MANY)
        store.delete(NAME)
        assert first + b"".join(chunks) == b"x" * 2**22


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ".drafts/x", "a/../../x", ""])
def test_names_that_lead_elsewhere_are_refused_by_every_call(store: ObjectStore, name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        store.put(name, [b"x"], MANY)
    with pytest.raises(ValueError, match="not the name"):
        store.head(name)
    with pytest.raises(ValueError, match="not the name"):
        store.delete(name)
    with pytest.raises(ValueError, match="not the name"), store.reading(name):
        raise AssertionError("never here")
