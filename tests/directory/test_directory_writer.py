"""Who writes the directory's file: one process, which may die at any point, be without room, and find damage."""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.directory import writer as writing
from headgate.directory.file import FILE
from headgate.directory.writer import DRAFT, LOCK, Writer
from tests.directory.files import content, key, mark, numbers, opened, read, revoked, started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "directory"


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
