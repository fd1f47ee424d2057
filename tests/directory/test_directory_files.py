"""The directory's file, cut, damaged and exchanged: nothing wrong is taken over."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.directory.directory import Directory
from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.rows import Change
from headgate.directory.writer import LOCK, Writer
from tests.directory.changes import Model, histories
from tests.directory.files import content, key, mark, numbers, read, revoked, started


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
