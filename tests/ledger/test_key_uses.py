"""When keys were last used: what the lines say reaches whoever takes it, once, whoever is killed."""

import datetime as dt
import itertools
import json
from pathlib import Path

import pytest

from headgate.contract import KEY_USES
from headgate.key_uses import add_uses, take_uses
from ledger.showing.key_uses import EVERY_S, KeyUses
from ledger.spool.lines import parsed

ONE, TWO = ("acme", "key_1"), ("acme", "key_2")


def at(second: int) -> dt.datetime:
    return dt.datetime(2026, 11, 1, 12, 0, second, tzinfo=dt.UTC)


def line(key: tuple[str, str] | None, second: int) -> dict[str, object]:
    whose = {"tenant": key[0], "key_id": key[1]} if key else {}
    return {"type": "end", "request_id": "r", "time": f"2026-11-01T12:00:{second:02}.000Z", **whose}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / KEY_USES).parent.mkdir()
    return tmp_path


def show(uses: KeyUses, *lines: dict[str, object]) -> None:
    for one in lines:
        found = parsed(json.dumps(one).encode())
        assert found
        uses.on_line(found)


def test_the_last_use_of_each_key_arrives_once(state: Path) -> None:
    uses = KeyUses(state)
    show(uses, line(ONE, 3), line(ONE, 9), line(ONE, 5), line(TWO, 1), line(None, 7))
    uses.flush(at_once=True)
    assert take_uses(state) == {ONE: at(9), TWO: at(1)}
    assert take_uses(state) == {}
    assert list((state / KEY_USES).parent.iterdir()) == []


def test_what_nobody_has_taken_waits(state: Path) -> None:
    uses = KeyUses(state)
    for second in (4, 2, 6):  # lines of an older file may come late
        show(uses, line(ONE if second != 6 else TWO, second))
        uses.flush(at_once=True)
    assert (state / KEY_USES).stat().st_mode & 0o777 == 0o600
    assert take_uses(state) == {ONE: at(4), TWO: at(6)}


def test_what_a_killed_control_had_taken_is_taken_again(state: Path) -> None:
    add_uses(state, {ONE: at(4), TWO: at(2)})
    (state / KEY_USES).replace(state / KEY_USES.parent / f".{KEY_USES.name}.taken")
    add_uses(state, {ONE: at(3), TWO: at(6)})
    assert take_uses(state) == {ONE: at(4), TWO: at(6)}
    assert take_uses(state) == {}


def test_it_is_written_every_ten_seconds(state: Path) -> None:
    clock = itertools.count(100)
    uses = KeyUses(state, lambda: float(next(clock)))
    show(uses, line(ONE, 1))
    written = []
    for _ in range(25):
        uses.flush()
        written.append(bool(take_uses(state)))
        show(uses, line(ONE, 1))
    assert written.count(True) == 2
    assert written.index(True) == EVERY_S - 1


def test_what_could_not_be_written_is_written_later(state: Path) -> None:
    uses = KeyUses(state / "elsewhere")
    show(uses, line(ONE, 1))
    uses.flush(at_once=True)
    (state / "elsewhere" / KEY_USES).parent.mkdir(parents=True)
    uses.flush(at_once=True)
    assert take_uses(state / "elsewhere") == {ONE: at(1)}


@pytest.mark.parametrize(
    "found", [b"", b"[", b'[["acme","key_1","2026"]]', b'[["acme","key_1","2026-11-01T12:00:00"]]']
)
def test_what_is_damaged_is_nothing(state: Path, found: bytes) -> None:
    (state / KEY_USES).write_bytes(found)
    add_uses(state, {TWO: at(1)})
    assert take_uses(state) == {TWO: at(1)}


@pytest.mark.parametrize("time", ["", "x", "2026-11-01T12:00:00"])
def test_a_line_without_a_time_is_no_use(state: Path, time: str) -> None:
    uses = KeyUses(state)
    show(uses, {**line(ONE, 1), "time": time}, line(TWO, 1))
    uses.flush(at_once=True)
    assert take_uses(state) == {TWO: at(1)}
