"""envoy/module/recorder.c, built with sanitizers, and what ledger/spool/records.py reads of its files."""

import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hatch_build import MODULE_SOURCES, compiler
from ledger.spool import recorder, records
from ledger.spool.recorder import Record
from tests.metering.stand_in import HERE, SANITIZERS

PLACES = 8192
ID = "00000000-0000-4000-8000-%012d"


class Side:
    """A process that records; it ends with the test."""

    def __init__(self, program: Path, folder: Path, files_of: int | None = None) -> None:
        def limit() -> None:
            if files_of is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (files_of, files_of))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        self.folder = folder
        command = [program, folder / "epoch"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=limit
        )

    def __call__(self, command: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def begin(self, number: int, tenant: str = "acme", user: str = "") -> str:
        return self(f"b {ID % number} {tenant} {user}")

    def left(self) -> list[Record]:
        """What is there when it is killed."""
        self.process.kill()
        self.process.wait(20)
        return [record for path in self.paths() for record in records.records_of(path)]

    def paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.inflight"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("recorder") / "side"
    source = [path for path in MODULE_SOURCES if path.name == "recorder.c"]
    flags = ["-std=gnu11", "-pthread", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{source[0].parent}"]
    for sanitizers in SANITIZERS:
        command = [*compiler(), *flags, *sanitizers, HERE / "recorder_side.c", *source, "-o", made]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if found.returncode == 0:
            return made
    raise AssertionError(found.stderr)


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[Callable[..., Side]]:
    sides: list[Side] = []

    def begun(files_of: int | None = None) -> Side:
        sides.append(Side(program, tmp_path, files_of))
        return sides[-1]

    yield begun
    for side in sides:
        if side.process.poll() is None:
            assert side.process.stdin
            side.process.stdin.close()
            assert side.process.wait(20) == 0  # the sanitizers have nothing to say
        for pipe in (side.process.stdin, side.process.stdout):
            assert pipe
            pipe.close()


def test_a_request_is_there_with_all_that_is_known_of_it(start: Callable[..., Side]) -> None:
    side, before = start(), time.time() * 1000 - 1
    place = side.begin(1, "acme", "ünser")
    for name, value in (("prompt", 12), ("completion", 3), ("completion", 4), ("bytes", 2**40)):
        count = ("prompt", "completion", "cached", "cache_write", "reasoning", "units", "events", "bytes").index(name)
        side(f"c {place} {count} {value}")
    side(f"s {place} 200")
    (record,) = side.left()
    assert before <= record.began_ms <= time.time() * 1000
    assert (record.ended_ms, record.status) == (0, 200)
    assert record.counts == {"prompt_tokens": 12, "completion_tokens": 4, "content_bytes": 2**40}
    assert record.numbers == {
        "bytes_in": 1,
        "estimated_tokens": 2,
        "estimated_completion_tokens": 3,
        "counted_tokens": 4,
        "estimated_units": 5,
        "price_generation": 6,
        "streamed": 1,
    }
    assert (record.request_id, record.texts["tenant"], record.texts["user"]) == (ID % 1, "acme", "ünser")
    line = record.line(record.began_ms + 700)
    assert line
    assert (line.duration_ms, line.status, line.attempts, line.streamed, line.reserved) == (700, 200, 1, True, None)
    assert (line.price_generation, line.config_generation, line.model, line.units) == (6, 6, None, None)
    assert line.price_factor == "0.9"


def test_what_has_ended_is_there_for_five_seconds_more(start: Callable[..., Side]) -> None:
    side = start()
    place = side.begin(1)
    side(f"e {place}")
    (record,) = records.records_of(side.paths()[0])
    assert record.ended_ms >= record.began_ms
    time.sleep(5.1)
    side.begin(2)
    assert [one.request_id for one in side.left()] == [ID % 2]
    assert (ID % 1).encode() not in side.paths()[0].read_bytes()


def test_places_are_used_again_and_few_of_them(start: Callable[..., Side]) -> None:
    side = start()
    for number in range(PLACES + 100):
        side(f"e {side.begin(number)}")
    found = side.left()
    assert {record.place for record in found} <= set(range(PLACES))
    assert ID % (PLACES + 99) in {record.request_id for record in found}
    assert side.paths()[0].stat().st_size == records.HEAD_BYTES + PLACES * records.RECORD_BYTES


def test_beyond_its_places_nothing_is_recorded_and_what_is_there_stays(start: Callable[..., Side]) -> None:
    side = start()
    places = [side.begin(number) for number in range(PLACES)]
    assert "none" not in places
    assert side.begin(PLACES) == "none"
    side(f"e {places[5]}")
    assert side.begin(PLACES + 1) != "none"  # rather than what ended just now
    ids = {record.request_id for record in side.left()}
    assert ids == {ID % number for number in (*range(PLACES), PLACES + 1)} - {ID % 5}


def test_each_thread_has_a_file_of_its_own(start: Callable[..., Side]) -> None:
    side = start()
    side.begin(1)
    assert side(f"t {ID % 2}") == "there"
    assert [path.name for path in side.paths()] == ["epoch.0.inflight", "epoch.1.inflight"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in side.paths())
    assert {record.request_id for record in side.left()} == {ID % 1, ID % 2}


def test_without_room_on_the_disk_nothing_is_recorded_and_no_file_is_left(start: Callable[..., Side]) -> None:
    side = start(files_of=100_000)
    assert side.begin(1) == "none"
    assert side.begin(2) == "none"
    assert side.paths() == []


def test_a_user_is_cut_and_what_is_too_long_otherwise_is_not_recorded(start: Callable[..., Side]) -> None:
    side = start()
    assert side.begin(1, "t" * 500, "ü" * 300) != "none"
    assert side.begin(2, "t" * 700) == "none"
    (record,) = side.left()
    assert record.texts["user"] == "ü" * ((696 - 500 - 36 - len("0.9")) // 2)


@pytest.mark.parametrize("at", [8, 15, 224, 232, 290, 300, 320, 356])
def test_a_record_that_was_changed_says_nothing(start: Callable[..., Side], at: int) -> None:
    side = start()
    side.begin(1)
    side.begin(2)
    assert len(side.left()) == 2
    (path,) = side.paths()
    data = bytearray(path.read_bytes())
    data[records.HEAD_BYTES + at] ^= 0x40
    path.write_bytes(data)
    assert [record.request_id for record in records.records_of(path)] == [ID % 2]


def test_an_envoy_that_lives_holds_its_records(start: Callable[..., Side], monkeypatch: pytest.MonkeyPatch) -> None:
    side = start()
    side.begin(1)
    (side.folder / "spool").mkdir()
    (path,) = side.paths()
    path.rename(side.folder / "spool" / path.name)
    monkeypatch.chdir(side.folder)
    with pytest.raises(BlockingIOError):
        recorder.recover("epoch")
    side.left()
    assert recorder.recover("epoch") == 1


def test_the_model_of_the_attempt_that_answers_is_there(start: Callable[..., Side]) -> None:
    side = start()
    place = side.begin(1)
    side(f"m {place} {'x' * 130}")
    side(f"m {place} second")
    (record,) = side.left()
    assert record.texts["upstream_model"] == "second"


def test_what_is_no_file_of_ours_says_nothing(tmp_path: Path) -> None:
    for name, data in {"empty": b"", "other": b"x" * 9000, "version": b"HGFLY\0\0\3" + bytes(9000)}.items():
        (tmp_path / name).write_bytes(data)
        assert list(records.records_of(tmp_path / name)) == []
    assert list(records.records_of(tmp_path / "gone")) == []
