"""A process that follows the directory in its event loop: told by the kernel, or looking where it tells nothing."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate import inotify
from headgate.directory import following as module
from headgate.directory.directory import Directory
from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.rows import Change
from tests.directory.files import key, mark, numbers, revoked, started


@asynccontextmanager
async def followed(folder: Path | None) -> AsyncIterator[Following]:
    following = Following(folder)
    task = asyncio.create_task(following.follow())
    await asyncio.sleep(0.05)
    try:
        yield following
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() or folder is None


async def wait_until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - no event tells a test
            await asyncio.sleep(0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "directory"


async def test_the_kernel_tells(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600)
    writer = started(folder)
    async with followed(folder) as following:
        writer.append(mark(1), [key(1), key(2)])
        await wait_until(lambda: numbers(following.directory) == [1, 2])
        writer.append(mark(2), [revoked(1)])
        await wait_until(lambda: numbers(following.directory) == [2])
        writer.replace(mark(5), [[key(3)]])
        await wait_until(lambda: numbers(following.directory) == [3])
        writer.append(mark(6), [key(4)])
        await wait_until(lambda: numbers(following.directory) == [3, 4])


async def test_where_the_kernel_tells_nothing_it_looks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the user has no inotify instance left."""

    class Libc:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr(inotify, "_libc", Libc())
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600)
    writer = started(folder)
    async with followed(folder) as following:
        writer.append(mark(1), [key(1)])
        await wait_until(lambda: numbers(following.directory) == [1])


async def test_a_folder_that_comes_later_or_anew_is_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    async with followed(folder) as following:
        assert following.directory.version == 0
        started(folder).append(mark(1), [key(1)])
        await wait_until(lambda: numbers(following.directory) == [1])
        shutil.rmtree(folder)
        await asyncio.sleep(0.1)
        assert (numbers(following.directory), following.problem) == ([1], "the file is gone")
        writer = started(folder)
        await wait_until(lambda: numbers(following.directory) == [])
        monkeypatch.setattr(module, "LOOK_EVERY_S", 3600)
        await asyncio.sleep(0.1)
        writer.append(mark(2), [key(2)])
        await wait_until(lambda: numbers(following.directory) == [2])


async def test_another_base_is_read_in_slices_between_which_all_else_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    taken: list[int] = []
    real = Directory.take

    def take(self: Directory, version: int, changes: Sequence[Change]) -> None:
        taken.append(len(changes))
        real(self, version, changes)

    async with followed(folder) as following:
        await wait_until(lambda: numbers(following.directory) == [1])
        monkeypatch.setattr(Directory, "take", take)
        writer.replace(mark(9), [[key(number) for number in range(at, at + 100)] for at in range(0, 1000, 100)])
        others = []
        while following.directory.version != 9:
            assert numbers(following.directory) == [1], "what was known stays, whole"
            assert not following.catch_up(), "who knows no key does not hold the others up"
            others.append(len(taken))
            await asyncio.sleep(0)
        assert taken == [10] * 100
        assert max(after - before for before, after in itertools.pairwise(others)) <= 1
        assert following.directory.key_named(key(999).place[0])


async def test_whether_all_is_taken_is_known_while_slices_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 1)
    writer = started(folder)
    async with followed(folder) as following:
        assert following.has_all()
        writer.append(mark(1), [key(1)])
        assert following.has_all()
        assert numbers(following.directory) == [1]
        writer.replace(mark(2), [[key(number) for number in range(2, 20)]])
        assert not following.has_all()
        assert numbers(following.directory) == [1]
        await wait_until(following.has_all)
        assert numbers(following.directory) == list(range(2, 20))
        (folder / FILE).write_bytes(b"damaged")
        assert not following.has_all()


async def test_who_has_to_know_a_version_waits_for_no_slices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 1)
    writer = started(folder)
    async with followed(folder) as following:
        writer.replace(mark(9), [[key(number) for number in range(200)]])
        writer.append(mark(10), [key(200)])
        await asyncio.sleep(0)
        assert following.catch_up(10)
        assert following.directory.version == 10
        writer.replace(mark(20), [[key(7)] * 50])
        assert not following.catch_up()
        writer.replace(mark(30), [[key(8)]])
        assert following.catch_up(30), "also where the base that is being read has been replaced"
        assert numbers(following.directory) == [8]


async def test_a_base_that_is_damaged_behind_its_first_slices_is_not_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    writer = started(folder)
    writer.append(mark(1), [key(1)])
    async with followed(folder) as following:
        await wait_until(lambda: numbers(following.directory) == [1])
        writer.replace(mark(9), [[key(number) for number in range(50)], [key(50)]])
        path = folder / FILE
        content = bytearray(path.read_bytes())
        content[-40] ^= 1
        path.write_bytes(content)
        await wait_until(lambda: following.problem)
        assert numbers(following.directory) == [1]
        writer.replace(mark(10), [[key(2)]])
        await wait_until(lambda: numbers(following.directory) == [2])
        assert following.problem is None


async def test_a_bug_does_not_end_the_following(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    writer = started(folder)
    async with followed(folder) as following:
        with monkeypatch.context() as patch:
            patch.setattr(following, "_take_batches", lambda _file: 1 / 0)
            writer.append(mark(1), [key(1)])
            await asyncio.sleep(0.1)
        writer.append(mark(2), [key(2)])
        await wait_until(lambda: numbers(following.directory) == [1, 2])


async def test_each_version_that_is_known_is_told(folder: Path) -> None:
    told: list[int] = []
    writer = started(folder)
    following = Following(folder, told.append)
    writer.append(mark(1), [key(1)])
    following.catch_up()
    following.catch_up()
    writer.replace(mark(7), [[key(3)]])
    following.catch_up()
    assert told == [0, 1, 7]


async def test_without_a_folder_there_is_nothing_to_follow() -> None:
    async with followed(None) as following:
        assert (following.directory.version, following.problem) == (0, None)
