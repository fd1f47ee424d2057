"""The directory's file, cut, damaged, exchanged, and written by processes that die: nothing wrong is taken over."""

import fcntl
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.directory import writer as writing
from headgate.directory.directory import Directory
from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.rows import Change
from headgate.directory.writer import DRAFT, LOCK, Writer
from tests.directory.changes import Model, histories
from tests.directory.files import content, key, mark, numbers, opened, read, revoked, started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "directory"


class Written:
    """A file after each of its versions, as a model has them."""

    def __init__(self, folder: Path, history: list[list[Change]], rewritten: set[int]) -> None:
        self.models = [Model()]
        writer = started(folder)
        self.follower = Following(folder)
        for version, changes in enumerate(history, 1):
            model = Model()
            model.rows = dict(self.models[-1].rows)
            model.take(changes)
            self.models.append(model)
            if version in rewritten:
                writer.replace(mark(version), [tuple(model.changes())])
            else:
                writer.append(mark(version), changes)
            if version % 2:
                self.follower.catch_up()
            if version % 3 == 0:
                writer._base_end = -(2**30)  # time to merge
                assert writer.merge()
        writer.close()

    def check(self, directory: Directory) -> None:
        self.models[directory.version].check(directory)


@settings(max_examples=60, deadline=None)
@given(histories(), st.sets(st.integers(1, 12)), st.data())
def test_files_that_are_cut_or_damaged_anywhere(
    history: list[list[Change]], rewritten: set[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "directory"
        written = Written(folder, history, rewritten)
        whole = content(folder)
        written.follower.catch_up()
        assert written.follower.directory.version == len(history)
        written.check(written.follower.directory)
        following = read(folder)
        assert (following.directory.version, following.problem) == (len(history), None)
        written.check(following.directory)
        for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=40)):
            (folder / FILE).write_bytes(whole[:at])
            written.check(read(folder).directory)
            (folder / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            damaged = read(folder)
            written.check(damaged.directory)
            assert damaged.directory.version < len(history) or damaged.problem is not None or at == len(whole)
            written.check(written.follower.directory)


def test_cut_at_every_byte_it_is_an_earlier_state(folder: Path) -> None:
    writer = started(folder)
    ends = {len(content(folder)): 0}
    for version in range(1, 4):
        writer.append(mark(version), [key(version, version)])
        ends[len(content(folder))] = version
    whole = content(folder)
    (base_end, *_) = ends
    for at in range(len(whole) + 1):
        (folder / FILE).write_bytes(whole[:at])
        following = read(folder)
        known = max((version for end, version in ends.items() if end <= at), default=0)
        assert numbers(following.directory) == list(range(1, known + 1))
        assert (following.problem is not None) == (at < base_end)


def test_a_follower_sees_each_byte_come_and_takes_whole_frames(folder: Path) -> None:
    writer = started(folder)
    before = content(folder)
    writer.append(mark(1), [key(1)])
    writer.append(mark(2), [revoked(1), key(2)])
    whole = content(folder)
    (folder / FILE).write_bytes(before)
    following, seen = read(folder), []
    with (folder / FILE).open("ab", buffering=0) as file:
        for byte in whole[len(before) :]:
            file.write(bytes([byte]))
            if following.catch_up():
                seen.append((following.directory.version, numbers(following.directory)))
            assert following.problem is None
    assert seen == [(1, [1]), (2, [2])]


def test_nothing_new_is_nothing_taken(folder: Path) -> None:
    assert not Following(folder).catch_up()
    assert not Following().catch_up()
    writer = started(folder)
    following = read(folder)
    assert not following.catch_up()
    writer.append(mark(1), [key(1)])
    assert not following.catch_up(0)
    assert following.catch_up(1)
    assert not following.catch_up()


def test_a_new_base_takes_over_while_it_is_followed(folder: Path) -> None:
    writer = started(folder)
    ahead, behind = read(folder), read(folder)
    writer.append(mark(1), [key(1)])
    assert ahead.catch_up()
    directory = ahead.directory
    writer.replace(mark(1), [[key(1)]])
    writer.append(mark(2), [key(2)])
    for following in (ahead, behind):
        assert following.catch_up()
        assert (following.directory.version, numbers(following.directory)) == (2, [1, 2])
    assert ahead.directory is directory  # its rows were passed over
    writer.append(mark(3), [revoked(1)])
    for following in (ahead, behind):
        assert following.catch_up()
        assert numbers(following.directory) == [2]


@pytest.mark.parametrize("how", ["link", "moved"])
def test_a_file_that_has_another_name_too_is_left_as_soon_as_there_is_a_new_one(folder: Path, how: str) -> None:
    """As backups by hard links make it, or somebody who moves it away."""
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    following = read(folder)
    if how == "link":
        os.link(folder / FILE, folder / "backup")
    else:
        (folder / FILE).rename(folder / "backup")
    writer.replace(mark(1), [[key(1)]])
    writer.append(mark(2), [revoked(1)])
    assert following.catch_up()
    assert (following.directory.version, numbers(following.directory), following.problem) == (2, [], None)


def test_a_state_of_another_history_takes_the_place_of_all(folder: Path) -> None:
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    writer.append(mark(2), [key(2)])
    following = read(folder)
    highest = following.directory.highest
    writer.replace(mark(1), [[key(3)]])
    assert following.catch_up()
    assert (following.directory.version, numbers(following.directory)) == (1, [3])
    assert following.directory.tenant_version("acme") > highest


@pytest.mark.parametrize("what", ["shorter", "empty", "damaged", "garbage", "gone", "folder gone", "other file"])
def test_what_is_known_stays_whatever_becomes_of_the_file(folder: Path, what: str) -> None:
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    writer.append(mark(2), [key(2)])
    following, path, whole = read(folder), folder / FILE, content(folder)
    if what == "shorter":
        os.truncate(path, len(whole) - 10)
    elif what == "empty":
        os.truncate(path, 0)
    elif what == "damaged":
        path.write_bytes(whole + b"x" * 40)
    elif what == "garbage":
        (folder / "other").write_bytes(os.urandom(5000))
        (folder / "other").replace(path)
    elif what == "gone":
        path.unlink()
    elif what == "folder gone":
        shutil.rmtree(folder)
    else:
        (folder / "other").write_bytes(b"")
        (folder / "other").replace(path)
    for _ in range(3):
        assert not following.catch_up()
        assert (following.directory.version, numbers(following.directory)) == (2, [1, 2])
        assert following.problem is not None
    assert writer.open()
    assert not writer.is_whole()
    writer.replace(mark(3), [[key(2)]])
    assert following.catch_up()
    assert (following.directory.version, numbers(following.directory), following.problem) == (3, [2], None)


def test_who_starts_on_a_damaged_base_has_nothing_and_on_a_damaged_log_what_stands_before(folder: Path) -> None:
    writer = started(folder)
    writer.replace(mark(1), [[key(1)]])
    base = len(content(folder))
    writer.append(mark(2), [key(2)])
    second = len(content(folder))
    writer.append(mark(3), [revoked(1)])
    whole = content(folder)
    for at, known in ((base // 2, []), (base + 14, [1]), (second + 14, [1, 2])):
        (folder / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        following = read(folder)
        assert numbers(following.directory) == known
        assert following.problem is not None
    fresh = Writer(folder)
    writer.close()
    assert fresh.open()
    assert fresh.mark is None  # a new one will be written


def test_the_file_shows_in_order_or_not_at_all(folder: Path) -> None:
    """Frames of another place or another file are no frames here."""
    writer = started(folder)
    base = len(content(folder))
    writer.append(mark(1), [key(1)])
    first = len(content(folder))
    writer.append(mark(2), [key(2)])
    whole = content(folder)
    writer.replace(mark(0), [])
    other = content(folder)
    one, two = whole[base:first], whole[first:]
    for mixed in (whole[:base] + two, whole[:base] + two + one, whole[:first] + one, other + one):
        (folder / FILE).write_bytes(mixed)
        following = read(folder)
        assert numbers(following.directory) in ([], [1])
        assert following.problem is not None


def test_modes_and_names(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {FILE: 0o600, LOCK: 0o600}


def test_one_process_writes(folder: Path) -> None:
    writer = started(folder)
    program = (
        "import sys; from pathlib import Path; from headgate.directory.writer import Writer\n"
        "writer = Writer(Path(sys.argv[1])); print(writer.open(), writer.mark, flush=True)\n"
        "sys.stdin.read()"
    )

    def other() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", program, str(folder)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with other() as second:
        assert second.stdout
        assert second.stdout.readline() == "False None\n"
        second.communicate()
    writer.append(mark(1), [key(1)])
    writer.close()
    with other() as second:
        assert second.stdout
        assert second.stdout.readline().startswith("True Mark(version=1")
        assert not writer.open()
        second.kill()
        second.wait()
        assert writer.open()  # the kernel has let go of it
        assert writer.mark == mark(1)
        second.communicate()


def test_a_folder_that_was_made_anew_has_a_new_lock(folder: Path) -> None:
    old = started(folder)
    shutil.rmtree(folder)
    new = started(folder)
    assert not old.open()
    new.append(mark(1), [key(1)])
    assert numbers(read(folder).directory) == [1]
    new.close()
    assert old.open()
    assert old.mark == mark(1)


DOINGS: dict[str, Callable[[Writer], object]] = {
    "append": lambda writer: writer.append(mark(2), [key(2), revoked(1)]),
    "replace": lambda writer: writer.replace(mark(2), [[key(2)]]),
    "merge": lambda writer: (writer.append(mark(2), [key(2), revoked(1)]), writer.merge()),
}


@pytest.mark.parametrize("doing", DOINGS)
def test_a_writer_that_is_killed_at_any_point(folder: Path, doing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and, of writes, in the middle of each system call."""
    monkeypatch.setattr(writing, "LEAST_LOG_BYTES", 0)
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    writer._base_end = 0 if doing != "merge" else -(2**20)
    writer.close()
    whole = content(folder)
    number, states = 0, set()
    while True:
        number += 1
        (folder / FILE).write_bytes(whole)
        follower = read(folder)
        pid = os.fork()
        if pid == 0:
            _do_and_die(folder, doing, number)
        _, status = os.waitpid(pid, 0)
        for following in (follower, read(folder)):
            following.catch_up()
            state = (following.directory.version, tuple(numbers(following.directory)))
            assert state in ((1, (1,)), (2, (2,)))
            assert following.problem is None
            states.add(state)
        again = opened(folder)
        assert again.mark == mark(following.directory.version)
        again.append(mark(3), [key(3)])
        for following in (follower, read(folder)):
            following.catch_up()
            assert numbers(following.directory) == [*state[1], 3]
        assert {path.name for path in folder.iterdir()} == {FILE, LOCK}
        again.close()
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert states == {(1, (1,)), (2, (2,))}
    assert number > 3


def _do_and_die(folder: Path, doing: str, number: int) -> None:
    seen = 0

    def counted(real: Any, partly: Any = None) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if partly:
                seen += 1
                if seen == number:
                    partly(*arguments)
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return call

    writer = opened(folder)
    if doing == "merge":
        writer._base_end = -(2**20)
    pwrite = os.pwrite
    os.pwrite = counted(pwrite, lambda fd, data, at: pwrite(fd, bytes(data)[: len(data) // 2], at))
    for name in ("fsync", "fdatasync", "ftruncate", "open", "close", "rename", "replace", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    DOINGS[doing](writer)
    os._exit(0)


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """The kernel writes no more than so many bytes of a file, and then refuses: as when a disk is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_without_room(folder: Path, small_files: Callable[[int], None]) -> None:
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    following, size = read(folder), len(content(folder))
    for room in (0, 1, 30):
        small_files(size + room)
        with pytest.raises(OSError, match="too large"):
            writer.append(mark(2), [key(2)])
        with pytest.raises(OSError, match="too large"):
            writer.replace(mark(2), [[key(number) for number in range(50)]])
        assert not following.catch_up()
        assert (len(content(folder)), writer.mark, following.problem) == (size, mark(1), None)
        assert numbers(read(folder).directory) == [1]
        assert not (folder / DRAFT).exists()
    small_files(2**20)
    writer.append(mark(2), [key(2)])
    assert following.catch_up()
    assert numbers(following.directory) == [1, 2]


def test_what_a_killed_writer_left_is_cut_off(folder: Path) -> None:
    writer = started(folder)
    size = len(content(folder))
    writer.append(mark(1), [key(number) for number in range(20)])
    writer.close()
    os.truncate(folder / FILE, len(content(folder)) - 1)
    again = opened(folder)
    assert (again.mark, len(content(folder))) == (mark(0), size)
    again.append(mark(1), [key(1)])
    again.append(mark(2), [key(2)])
    assert (numbers(read(folder).directory), read(folder).problem) == ([1, 2], None)


def test_a_log_is_merged_when_it_is_as_large_as_its_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LEAST_LOG_BYTES", 2000)
    writer = started(folder)
    following = read(folder)
    merged = []
    for version in range(1, 201):
        writer.append(mark(version), [key(version % 10, version)])
        if writer.merge():
            merged.append(version)
        assert following.catch_up()
    assert len(merged) > 5
    assert len(content(folder)) < 6000
    assert numbers(read(folder).directory) == numbers(following.directory) == list(range(10))
    assert read(folder).directory.version == 200


def test_a_damaged_file_is_found_and_not_merged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    assert writer.verify()
    whole = content(folder)
    with (folder / FILE).open("r+b") as file:
        file.seek(len(whole) - 5)
        file.write(bytes([whole[-5] ^ 1]))
    assert writer.is_whole()
    monkeypatch.setattr(writing, "LEAST_LOG_BYTES", 0)
    assert not writer.merge()
    assert writer.mark is None
    with (folder / FILE).open("r+b") as file:
        file.write(b"x")
    assert not writer.verify()


def test_the_lock_is_the_kernels(folder: Path) -> None:
    writer = started(folder)
    with (folder / LOCK).open("r+b") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    writer.close()
