"""What is learned of targets and answers for strategies: from which lines, and how soon forgotten."""

from collections.abc import Mapping
from typing import Any

import pytest

from headgate.feed.figures import MOST_FIGURES, Mean, TimeOf
from headgate.snapshot import ModelRow, Snapshot, TargetRow, TenantRow
from ledger.spool.attempts import Attempt
from ledger.spool.lines import Line
from ledger.spool.lines import parsed as parsed_line
from ledger.telling.cluster_load import load_of
from ledger.telling.figures import HALF_LIFE_S, KEPT_S, FigureLearner
from tests.ledger.in_memory import tables_of
from tests.ledger.ledger_process import end_line

NEAR, FAR = "provider/near@0", "provider/far@0"
ROWS = [TargetRow(name, "openai", f"provider/{name}@0", "m", "final", 0, 1, 1) for name in ("near", "far")]
MODELS = {
    strategy: ModelRow("s", "w", 3, 10_000, strategy=strategy)
    for strategy in ("order", "weighted", "cheapest", "fastest", "least_busy")
}
SNAPSHOT = Snapshot(1, 0, 1, [], {"acme": TenantRow(dict.fromkeys(MODELS, ROWS))}, MODELS)
STREAM = {
    "streamed": True,
    "request_ms": 10,
    "first_byte_ms": 20,
    "first_token_ms": 200,
    "duration_ms": 900,
    "completion_tokens": 40,
}
WHOLE = {
    "streamed": None,
    "request_ms": 10,
    "first_byte_ms": 810,
    "first_token_ms": None,
    "duration_ms": 815,
    "completion_tokens": 40,
}


def line(model: str = "fastest", **more: Any) -> Line:
    told = {
        "tenant": "acme",
        "target": "near",
        "upstream_model": "m",
        "status": 200,
        "attempts": 1,
        "surface": "chat",
    }
    found = parsed_line(end_line("a", **{**told, "model": model, **STREAM, **more}))
    assert found
    return found


class Learning:
    """A learner with a clock of the test's, and what it told last."""

    def __init__(self, snapshot: Snapshot | None = SNAPSHOT) -> None:
        self.now = 100.0
        self.times: dict[TimeOf, Mean] = {}
        self.answers: dict[str, Mean] = {}
        self.learner = FigureLearner(self._take, tables_of(snapshot), lambda: self.now)

    def _take(self, times: Mapping[TimeOf, Mean], answers: Mapping[str, Mean]) -> None:
        self.times, self.answers = dict(times), dict(answers)

    def see(self, *lines: Line) -> dict[TimeOf, float]:
        for one in lines:
            self.learner.on_line(one)
        self.learner.tell()
        return {target: mean.value for target, mean in self.times.items()}


def test_a_stream_says_when_its_first_token_came_a_whole_answer_what_a_token_took() -> None:
    found = Learning().see(line(), line(**WHOLE, target="far"))
    assert found == {(NEAR, "m", True): 200, (FAR, "m", False): 20}


def test_an_answer_without_tokens_counts_as_one() -> None:
    found = Learning().see(line(surface="embeddings", **{**WHOLE, "completion_tokens": None}))
    assert found == {(NEAR, "m", False): 800}


@pytest.mark.parametrize(
    "more",
    [
        {"model": "order"},
        {"model": "weighted"},
        {"model": "least_busy"},
        {"model": "unknown"},
        {"tenant": "globex"},
        {"target": "elsewhere"},
        {"attempts": 2},
        {"attempts": 0},
        {"status": 500},
        {"status": 400},
        {"first_token_ms": None, "status": 500},
        {"first_token_ms": None, "request_ms": None},
        {**WHOLE, "request_ms": None},
        {"type": "progress"},
    ],
)
def test_lines_that_say_nothing_of_it(more: dict[str, Any]) -> None:
    assert Learning().see(line(**more)) == {}


def test_what_was_long_ago_counts_for_less() -> None:
    learning = Learning()
    learning.see(line(first_token_ms=1000))
    learning.now += HALF_LIFE_S
    assert learning.see(line(first_token_ms=0)) == {(NEAR, "m", True): pytest.approx(1000 / 3)}
    learning.now += KEPT_S - 1
    assert learning.see()
    learning.now += 1
    assert learning.see() == {}


@pytest.mark.parametrize("status", [0, 200, 504])
def test_a_wait_in_vain_counts_where_it_was_longer_than_usual(status: int) -> None:
    vain = {"status": status, "first_token_ms": None, "completion_tokens": None}
    assert Learning().see(line(**vain, duration_ms=5010)) == {(NEAR, "m", True): 5000}
    learning = Learning()
    assert learning.see(line(), line(**vain, duration_ms=60)) == {(NEAR, "m", True): 200}
    assert learning.see(line(**vain, duration_ms=5010))[NEAR, "m", True] == pytest.approx(2600)
    if status != 200:
        assert Learning().see(line(**{**WHOLE, **vain})) == {}


def test_so_does_an_attempt_that_another_one_followed() -> None:
    learning = Learning()
    learning.see(line(), line(**WHOLE), line(target="far"))
    learning.learner.on_attempt(Attempt(cluster=NEAR, status=0, flags="UT", duration_ms=9_800))
    learning.learner.on_attempt(Attempt(cluster=NEAR, status=0, flags="UT", duration_ms=50))
    learning.learner.on_attempt(Attempt(cluster=FAR, status=503, flags="-", duration_ms=9_000))
    learning.learner.on_attempt(Attempt(cluster=FAR, status=0, flags="UT", route="x/hedged", duration_ms=9_000))
    found = learning.see()
    assert found == {(NEAR, "m", True): 5000, (NEAR, "m", False): 20, (FAR, "m", True): 200}


def test_answers_are_learned_where_costs_count() -> None:
    learning = Learning()
    learning.see(*(line("cheapest", completion_tokens=tokens) for tokens in (10, 20, 60)))
    assert learning.answers["cheapest"].value == pytest.approx(30)
    learning.see(
        *(line("cheapest", completion_tokens=tokens) for tokens in (-5, 10**12)), line("cheapest", status=500)
    )
    assert learning.answers["cheapest"].value == pytest.approx(30)
    learning.see(line(completion_tokens=10))
    assert set(learning.answers) == {"cheapest"}


def test_it_is_bounded() -> None:
    rows = [TargetRow(str(n), "openai", f"c{n}", "m", "final", 0, 1, 1) for n in range(MOST_FIGURES + 50)]
    snapshot = Snapshot(1, 0, 1, [], {"acme": TenantRow({"fastest": rows})}, MODELS)
    found = Learning(snapshot).see(*(line(target=row.provider) for row in rows))
    assert len(found) == MOST_FIGURES
    assert (f"c{MOST_FIGURES + 49}", "m", True) in found


def test_without_tables_nothing_is_learned() -> None:
    assert Learning(None).see(line()) == {}


def test_load_is_read_from_gauges() -> None:
    stats = b"""{"stats": [
        {"name": "cluster.provider/near.upstream_rq_active", "value": 3},
        {"name": "cluster.provider/near.upstream_rq_pending_active", "value": 2},
        {"name": "cluster.provider/far.upstream_rq_active", "value": 0},
        {"name": "cluster.provider/a.b.upstream_rq_active", "value": 4},
        {"name": "cluster.provider/other.upstream_rq_active", "value": 9},
        {"name": "cluster.provider/near.upstream_cx_active", "value": 7},
        {"name": "x", "value": "No recorded values"}]}"""
    assert load_of(stats, {"near": NEAR, "far": FAR, "a.b": "c"}) == {NEAR: 5, "c": 4}
