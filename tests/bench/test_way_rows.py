"""Rows of scenarios and ways out of figures that were made up."""

from bench.batch import Outcome, Seen
from bench.compare import Comparison
from bench.figures import Figures, figures_of
from bench.way_rows import Added, way_rows


def figures(latencies: list[float], cpu_ms: float, **seen: list[float]) -> Figures:
    count = len(latencies)
    outcome = Outcome({"": Seen(answered=count, latencies_ms=latencies, **seen)}, wall_s=2.0)  # type: ignore[arg-type]
    return figures_of(outcome, {"envoy": int(cpu_ms * 1e6) * count}, memory=3 * 2**20, sockets=7)


def test_each_round_is_compared_within_itself() -> None:
    compared = Comparison(
        {
            "short": {
                "direct": [figures([1.0, 1.0], 0.1), figures([11.0, 11.0], 0.1), figures([2.0, 2.0], 0.1)],
                "gateway": [figures([3.0, 3.0], 0.5), figures([13.0, 13.0], 1.0), figures([5.0, 5.0], 0.5)],
                "other": [figures([9.0, 9.0], 5.0), figures([19.0, 19.0], 5.0), figures([9.0, 9.0], 10.0)],
            }
        }
    )
    direct, ours, other = way_rows(compared)
    assert (direct.added, direct.latency.p50) == (None, 2.0)
    assert ours.added == Added(2.0, 2.0, 2.0)
    assert other.added == Added(8.0, 8.0, 8.0)
    assert (ours.times_ours, other.times_ours) == (1.0, 10.0)
    assert (ours.cpu_ms, ours.per_s, ours.memory_mib, ours.sockets, ours.answered) == (0.5, 1.0, 3.0, 7, 6)
    assert (ours.first, ours.jitter, ours.cpu_us_per_chunk, ours.errors) == (None, None, None, 0)


def test_streams_have_first_tokens_jitter_and_a_price_per_chunk() -> None:
    direct = figures([100.0], 0.1, first_ms=[1.0], gaps_ms=[10.0, 10.0])
    ours = figures([103.0], 0.4, first_ms=[4.0], gaps_ms=[10.0, 15.0])
    _, row = way_rows(Comparison({"streams": {"direct": [direct], "gateway": [ours]}}))
    assert (row.first_added, row.jitter) == (Added(3.0, 3.0, 3.0), 5.0)


def test_what_was_answered_wrongly_is_an_error_of_that_scenario_and_way() -> None:
    wrong = figures_of(Outcome({"": Seen()}, {"status 500: no": 3}, wall_s=1.0), {"envoy": 1}, 0, 0)
    compared = Comparison({"short": {"gateway": [wrong, wrong]}})
    assert compared.errors == {"short, gateway: status 500: no": 6}
    assert way_rows(compared) == ()
