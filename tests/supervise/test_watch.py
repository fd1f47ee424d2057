"""Which edits a watch sees, and when: real files, real links, a real writer."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.supervise.watch import Watch, read_settled

Edit = Callable[[Path], None]


def _in_place(path: Path) -> None:
    path.write_text("after")


def _renamed_over(path: Path) -> None:
    path.with_name("draft").write_text("after")
    path.with_name("draft").replace(path)


def _removed_and_made(path: Path) -> None:
    path.unlink()
    path.write_text("after")


def _kept_its_times(path: Path) -> None:
    """As `cp --preserve` and some synchronisers do; only the change of the inode tells."""
    before = path.stat()
    path.write_text("after!"[: before.st_size].ljust(before.st_size, "!"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _polled(watch: Watch, within_s: float) -> bytes | None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        content, _sources = watch.poll()
        if content is not None:
            return content
        time.sleep(0.02)
    return None


@pytest.mark.parametrize("edit", [_in_place, _renamed_over, _removed_and_made, _kept_its_times])
def test_edits_are_seen_once(tmp_path: Path, edit: Edit) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    watch = Watch(file, b"before")
    assert _polled(watch, 0.5) is None
    edit(file)
    assert _polled(watch, 10) == file.read_bytes()
    assert _polled(watch, 0.5) is None


def test_a_link_that_turns_to_another_folder(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(version)
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "file").symlink_to("current/file")
    watch = Watch(tmp_path / "file", b"v1")
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(tmp_path / "current")
    assert _polled(watch, 10) == b"v2"


def test_an_edit_between_two_starts_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("after")
    assert _polled(Watch(tmp_path / "file", b"before"), 10) == b"after"


def test_one_that_is_touched_is_not_edited(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("same")
    watch = Watch(file, b"same")
    file.touch()
    assert _polled(watch, 1) is None


def test_what_is_open_for_writing_is_left_alone_until_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    watch = Watch(file, b"before")
    with file.open("w") as writer:
        writer.write("ha")
        writer.flush()
        assert _polled(watch, 1.5) is None
        writer.write("lf")
    assert _polled(watch, 10) == b"half"


def test_one_that_has_gone_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    watch = Watch(file, b"before")
    file.unlink()
    assert _polled(watch, 10) == b""
    file.write_text("before")
    assert _polled(watch, 10) == b"before"


def test_sources_are_told_from_the_file(tmp_path: Path) -> None:
    file, secret, other = tmp_path / "file", tmp_path / "secret", tmp_path / "other"
    for path in (file, secret, other):
        path.write_text("x")
    watch = Watch(file, b"x")
    watch.sources([secret])

    def edited() -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            content, sources = watch.poll()
            assert content is None
            if sources:
                return True
            time.sleep(0.02)
        return False

    assert edited()  # it is new to the watch: what it said before nobody knows
    secret.write_text("y")
    assert edited()
    watch.sources([other])
    assert edited()
    assert watch.read_now() == b"x"


def opened() -> set[str]:
    """The files that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, by another thread
            found.add(str(entry.readlink()))
    return found


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_has_no_content_and_stays_closed(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd")
    assert read_settled(tmp_path / "odd", force=True) is None
    assert str(tmp_path / "odd") not in opened()
