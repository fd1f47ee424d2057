"""Objects in a directory, where something goes wrong: a full disk, a killed writer, links, rights."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headgate.objects.directory import DirectoryStore
from headgate.objects.failures import NoSuchObject, ObjectsError, StoreAway, StoreFull, StoreRefuses
from headgate.objects.store import read_small

NAME, MANY = "adapters/acme/bot/1/adapter.safetensors", 2**30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_only_the_gateways_user_can_read(root: Path) -> None:
    before = os.umask(0)
    try:
        DirectoryStore(root).put(NAME, [b"x"], MANY)
    finally:
        os.umask(before)
    found = {path: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}


def test_a_full_disk_is_said_and_leaves_the_old_object(root: Path) -> None:
    """The kernel refuses to write past the limit, as it does where no room is left."""
    store = DirectoryStore(root)
    store.put(NAME, [b"old"], MANY)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(StoreFull, match="File too large"):
            store.put(NAME, (b"x" * 100_000 for _ in range(20)), MANY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_small(store, NAME, MANY) == b"old"
    assert everything(root) == [NAME]


WRITER = """
import sys
from pathlib import Path
from headgate.objects.directory import DirectoryStore

def chunks():
    yield b"x" * 2**20
    print("half", flush=True)
    sys.stdin.read()

DirectoryStore(Path(sys.argv[1])).put(sys.argv[2], chunks(), 2**30)
"""


def test_a_killed_writer_leaves_no_object_and_its_draft_goes_later(root: Path) -> None:
    store = DirectoryStore(root)
    store.put(NAME, [b"old"], MANY)
    command = [sys.executable, "-c", WRITER, str(root), NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"half\n"
        writer.kill()
    assert read_small(store, NAME, MANY) == b"old"
    assert [entry.name for entry in store.listed("")] == [NAME]
    (draft,) = (root / ".drafts").iterdir()
    DirectoryStore(root)
    assert draft.exists(), "another process may be writing it"
    os.utime(draft, (time.time() - 90_000,) * 2)
    DirectoryStore(root)
    assert not draft.exists()


def test_links_lead_nowhere(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("hunter2")
    store = DirectoryStore(root)
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    assert list(store.listed("")) == []
    assert store.head("file") is None
    for call in (
        lambda: store.put("link/new", [b"x"], MANY),
        lambda: store.head("link/secret"),
        lambda: store.delete("link/secret"),
        lambda: list(store.listed("link/")),
        lambda: read_small(store, "link/secret", MANY),
        lambda: read_small(store, "file", MANY),
    ):
        with pytest.raises(StoreRefuses):
            call()
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_what_is_no_object_is_not_listed(root: Path) -> None:
    store = DirectoryStore(root)
    store.put("a/b", [b"x"], MANY)
    (root / "a" / ".nfs0001").write_bytes(b"")
    (root / "lost+found").mkdir()
    (root / "lost+found" / "file").write_bytes(b"")
    assert [entry.name for entry in store.listed("")] == ["a/b"]


def test_a_directory_that_is_not_mounted_any_more_is_away_and_not_empty(root: Path) -> None:
    store = DirectoryStore(root)
    store.put("a/b", [b"x"], MANY)
    root.rename(root.with_name("elsewhere"))
    for mounted_on in (False, True):
        if mounted_on:
            root.mkdir()
        for call in (
            lambda: store.head("a/b"),
            lambda: store.delete("a/b"),
            lambda: store.put("a/c", [b"x"], MANY),
            lambda: list(store.listed("a/")),
            lambda: read_small(store, "a/b", MANY),
        ):
            with pytest.raises(StoreAway):
                call()
    assert list(root.iterdir()) == []
    root.rmdir()
    root.with_name("elsewhere").rename(root)
    assert read_small(store, "a/b", MANY) == b"x"


def test_a_folder_is_no_object(root: Path) -> None:
    store = DirectoryStore(root)
    store.put("a/b", [b"x"], MANY)
    assert store.head("a") is None
    with pytest.raises(StoreRefuses):
        store.put("a", [b"x"], MANY)
    with pytest.raises(StoreRefuses):
        store.put("a/b/c", [b"x"], MANY)
    with pytest.raises(ObjectsError), store.reading("a") as chunks:
        next(chunks)
    assert everything(root) == ["a/b"]


def test_folders_that_are_empty_go(root: Path) -> None:
    store = DirectoryStore(root)
    store.put("a/b/c/one", [b"x"], MANY)
    store.put("a/two", [b"x"], MANY)
    store.delete("a/b/c/one")
    assert not (root / "a" / "b").exists()
    assert everything(root) == ["a/two"]
    store.delete("a/two")
    assert [path.name for path in root.iterdir()] == [".drafts"]


PUT_AND_DELETE = """
import sys
from pathlib import Path
from headgate.objects.directory import DirectoryStore

store, own = DirectoryStore(Path(sys.argv[1])), f"a/b/{sys.argv[2]}"
for _ in range(50):
    store.put(own, [b"x"], 1)
    store.delete(own)
store.put(own, [b"x"], 1)
"""


def test_processes_that_put_and_delete_beside_each_other_are_not_in_each_others_way(root: Path) -> None:
    """A folder that one has emptied goes, as another one is about to use it."""
    command = [sys.executable, "-c", PUT_AND_DELETE, str(root)]
    writers = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE) for number in range(3)]
    said = [writer.communicate(timeout=120)[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], said
    assert everything(root) == ["a/b/0", "a/b/1", "a/b/2"]


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ObjectsError):
        DirectoryStore(tmp_path / "file" / "objects").put(NAME, [b"x"], MANY)


def test_an_object_that_goes_between_is_gone(root: Path) -> None:
    store = DirectoryStore(root)
    store.put("a", [b"x"], MANY)
    (root / "a").unlink()
    with pytest.raises(NoSuchObject):
        read_small(store, "a", MANY)
