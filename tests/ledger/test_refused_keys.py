"""Keys that providers refuse: how long they rest, and what ends that."""

import datetime as dt
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from headgate.feed.states import EVERY_MODEL
from ledger.spool.attempts import Attempt
from ledger.spool.lines import Line
from ledger.telling.refused_keys import FIRST_REST_S, FORGET_S, LONGEST_REST_S, RefusedKeys

CLUSTER = "provider/p/a@0123456789"
FILE = "p:a@0123456789.key"
START = 1_800_000_000.0


class Told:
    """Takes down what a publisher is told."""

    def __init__(self) -> None:
        self.rests: list[tuple[str, str, float]] = []
        self.ended: list[str] = []
        self.refused_keys: frozenset[str] | None = None

    def rest(self, cluster: str, model: str, for_s: float) -> None:
        self.rests.append((cluster, model, round(for_s, 3)))

    def end_rest(self, cluster: str, model: str) -> None:
        assert model == EVERY_MODEL
        self.ended.append(cluster)


class Setup:
    def __init__(self, folder: Path) -> None:
        self.now, self.told, self.file = START, Told(), folder / FILE
        self.file.write_text("sk-secret")
        self.written(START - 100)
        self.keys = RefusedKeys(self.told, lambda: self.now, folder)  # type: ignore[arg-type]

    def written(self, at: float) -> None:
        os.utime(self.file, (at, at))

    def refuse(self, after_s: float = 0, **more: object) -> None:
        self.now += after_s
        time = dt.datetime.fromtimestamp(self.now, dt.UTC).isoformat()
        said = {"time": time, "target": "p", "provider_key": "a", "cluster": CLUSTER, "retry": "key", "status": 401}
        self.keys.on_attempt(Attempt(**(said | more)))  # type: ignore[arg-type]

    def durations(self) -> list[float]:
        assert all(rest[:2] == (CLUSTER, EVERY_MODEL) for rest in self.told.rests)
        return [rest[2] for rest in self.told.rests]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_a_key_rests_once_for_all_that_was_under_way_and_longer_every_time(setup: Setup) -> None:
    for _ in range(3):
        setup.refuse(0.1)
    assert setup.durations() == [FIRST_REST_S]
    for _ in range(8):
        setup.refuse(LONGEST_REST_S)
    assert setup.durations() == [30, 60, 120, 240, 480, 600, 600, 600, 600]


def test_what_is_no_refusal_of_a_key_rests_none(setup: Setup) -> None:
    for more in (
        {"retry": None},
        {"retry": "permission"},
        {"retry": "context_window"},
        {"cluster": None},
        {"time": "x"},
    ):
        setup.refuse(**more)
    setup.refuse(time="2026-01-01T00:00:00Z")  # read late
    assert setup.durations() == []


def test_a_key_that_works_again_has_no_past(setup: Setup) -> None:
    good = Line("end", "r", target="p", provider_key="a", status=200)
    setup.refuse()
    setup.keys.on_line(good)  # began before
    setup.refuse(FIRST_REST_S)
    setup.now += 60
    setup.keys.on_line(Line("end", "r", target="p", provider_key="b", status=200))
    setup.keys.on_line(Line("end", "r", target="p", provider_key="a", status=500))
    setup.refuse()
    setup.now += 120
    setup.keys.on_line(good)
    setup.refuse()
    assert setup.durations() == [30, 60, 120, 30]


def test_one_that_nobody_asked_for_long_has_none_either(setup: Setup) -> None:
    setup.refuse()
    setup.now += FIRST_REST_S + FORGET_S + 1
    setup.keys.look()
    setup.refuse()
    assert setup.durations() == [30, 30]


def test_a_new_file_ends_the_rest_and_what_the_old_key_was_told_counts_no_more(setup: Setup) -> None:
    setup.refuse()
    setup.keys.look()
    assert setup.told.ended == []
    setup.now += 5
    setup.written(setup.now)
    setup.keys.look()
    assert setup.told.ended == [CLUSTER]
    setup.refuse(1)  # Envoy may have sent the old one
    setup.refuse(4, duration_ms=4000)  # so long ago, too
    assert setup.durations() == [30]
    setup.refuse(1)
    assert setup.durations() == [30, 30]


def test_only_keys_that_came_with_the_gateway_are_tried_again_when_it_starts(setup: Setup, tmp_path: Path) -> None:
    setup.told.refused_keys = frozenset({CLUSTER, "provider/elsewhere/b@1"})
    setup.keys.look()
    assert setup.told.ended == []
    setup.written(START)
    fresh = RefusedKeys(setup.told, lambda: setup.now, tmp_path)  # type: ignore[arg-type]
    fresh.look()
    assert setup.told.ended == [CLUSTER]
    fresh.look()  # another gateway may refuse it after that
    assert setup.told.ended == [CLUSTER]


def test_one_line_names_the_key_and_nothing_of_it(setup: Setup) -> None:
    with capture_logs() as logs:
        setup.refuse()
        setup.refuse(1)
    (line,) = logs
    assert (line["provider"], line["key_name"], line["status"], line["rest_s"]) == ("p", "a", 401, 30)
    assert "secret" not in str(line)
