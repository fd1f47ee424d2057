"""What processes count, when they end: real processes, real files, the real merge."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate import contract
from headgate.supervise import metric_files

COUNTING = """
import sys
from headgate import metrics
from headgate.refusals import AUTHZ_REASONS, Refusals
refusals = Refusals("authz", AUTHZ_REASONS)
for _ in range(int(sys.argv[1])):
    refusals.count("unknown_key")
    metrics.LIMITER_ROUND_TRIP.observe(0.0002)
metrics.LIMITER_EMERGENCY.set(1)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    contract.RUN.mkdir()
    metric_files.prepare()
    yield contract.METRICS.resolve()
    metric_files.remove()
    assert not contract.METRICS.exists()


def counting(times: int) -> "subprocess.Popen[bytes]":
    """A part that counts and stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(times)],
        env={**os.environ, **metric_files.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"counted\n"
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()


def values() -> dict[str, float]:
    """Samples by name and label values."""
    return {
        "/".join((sample.name, *sample.labels.values())): sample.value
        for family in metric_files.merged()
        for sample in family.samples
    }


def test_counts_outlive_processes_and_gauges_do_not(folder: Path) -> None:
    first, second = counting(3), counting(4)
    try:
        found = values()
        assert found["headgate_refusals_total/unknown_key/authz"] == 7
        assert found["headgate_refusals_total/expired_key/authz"] == 0
        assert found["headgate_limiter_round_trip_seconds_count"] == 7
        assert found["headgate_limiter_emergency"] == 1
        end(first)
        found = values()
        assert found["headgate_refusals_total/unknown_key/authz"] == 7
        assert found["headgate_limiter_emergency"] == 1
    finally:
        end(first)
        end(second)
    found = values()
    assert found["headgate_refusals_total/unknown_key/authz"] == 7
    assert found["headgate_limiter_round_trip_seconds_bucket/0.00025"] == 7
    assert "headgate_limiter_emergency" not in found
    assert {file.name for file in folder.iterdir()} == {"counter_dead.db", "histogram_dead.db"}


def test_restarts_leave_no_files_behind(folder: Path) -> None:
    for _ in range(5):
        end(counting(1))
        metric_files.bury_dead()
    assert {file.name for file in folder.iterdir()} == {"counter_dead.db", "histogram_dead.db"}
    assert values()["headgate_refusals_total/unknown_key/authz"] == 5


def test_a_start_forgets_the_dead_and_keeps_what_was_taken_over(folder: Path) -> None:
    end(counting(1))
    alive = counting(2)
    try:
        metric_files.bury_dead()
        metric_files.prepare()
        assert values()["headgate_refusals_total/unknown_key/authz"] == 2
    finally:
        end(alive)


def test_a_file_that_a_killed_process_left_half_made_harms_nothing(folder: Path) -> None:
    (folder / "counter_999999999.db").write_bytes(b"")
    (folder / "histogram_999999998.db").write_bytes(b"\xff\xff\x00\x00" + bytes(60))
    end(counting(1))
    assert values()["headgate_refusals_total/unknown_key/authz"] == 1
    assert not list(folder.glob("*_9999999*"))
