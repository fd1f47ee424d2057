"""What is told about samples: compared round by round, and judged by the figure that the budget names."""

import io
import re
from collections import Counter
from typing import Any

from rich.console import Console

from bench.measure import ChunkSample, Counts, LatencySample, RequestSample
from bench.report import Report, Samples, report_of
from bench.table import print_report

MIB = 2**20


def chunk(envoy: float, python: float = 0.0) -> ChunkSample:
    return ChunkSample({"envoy": envoy, "filters": python})


def request(envoy: float, python: float, rps: float) -> RequestSample:
    return RequestSample({"envoy": envoy, "filters": python}, rps)


def samples(**changes: Any) -> Samples:
    given: dict[str, Any] = {
        "chunks_plain": [ChunkSample({"envoy": cost}) for cost in (10.0, 20.0, 10.0)],
        "chunks_gateway": [chunk(15.0, 1.0), chunk(30.0, 2.0), chunk(18.0)],
        "chunks_translated": {
            "anthropic": [chunk(20.0, 30.0), chunk(40.0, 50.0), chunk(20.0, 40.0)],
            "gemini": [chunk(50.0, 40.0), chunk(50.0, 50.0), chunk(50.0, 40.0)],
        },
        "requests_plain": [RequestSample({"envoy": 0.1}, 1000.0)] * 3,
        "requests_gateway": [request(0.4, 0.5, 250.0)] * 3,
        "requests_limited": [request(0.4, 0.7, 200.0)] * 3,
        "latency_plain": [LatencySample(0.5, 2.0)] * 3,
        "latency_gateway": [LatencySample(2.0, 13.0)] * 3,
        "up_s": [2.0, 6.0, 3.0],
        "idle": {"envoy": 4.0, "filters": 2.0, "supervisor": 1.0},
        "memory_idle": {"envoy": 30 * MIB, "filters": 71 * MIB, "valkey": 900 * MIB},
        "memory_after": {"envoy": 40 * MIB, "filters": 71 * MIB, "valkey": 900 * MIB},
    }
    return Samples(**given | changes)


def report(**changes: Any) -> Report:
    return report_of(samples(**changes), Counts(), cores=2, rounds=3)


def test_ratios_are_taken_within_a_round() -> None:
    row = report().rows[0]
    assert (row.measure, row.plain, row.gateway) == ("CPU per streamed chunk", 10.0, 18.0)
    assert (row.figure, row.low, row.high, row.verdict) == (1.6, 1.6, 1.8, "within")


def test_each_figure_meets_its_budget() -> None:
    rows = {row.measure: row for row in report().rows}
    assert {name: (row.figure, row.budget, row.verdict) for name, row in rows.items() if row.budget} == {
        "CPU per streamed chunk": (1.6, 1.7, "within"),
        "CPU per translated chunk, anthropic": (5.0, 8.0, "within"),
        "CPU per translated chunk, gemini": (9.0, 8.0, "over"),
        "CPU per request": (0.9, 1.0, "within"),
        "CPU per request, tenant with token limits": (1.1, 1.0, "over"),
        "latency p50, one client": (1.5, 2.5, "within"),
        "latency p99, one client": (11.0, 10.0, "over"),
        "memory idle (PSS, Envoy + filters)": (101.0, 300.0, "within"),
        "headgate up to first answer": (3.0, 5.0, "within"),
    }
    assert rows["requests per second"].figure == 0.25
    assert rows["idle CPU per second (all parts)"].figure == 7.0


def test_a_budget_that_is_just_met_is_met() -> None:
    over = report(requests_gateway=[request(0.5, 0.501, 1.0)] * 3)
    met = report(requests_gateway=[request(0.5, 0.5, 1.0)] * 3)
    verdicts = [row.verdict for found in (over, met) for row in found.rows if row.measure == "CPU per request"]
    assert verdicts == ["over", "within"]


def test_another_gateway_is_to_need_at_least_so_many_times_ours() -> None:
    rows = report(
        chunks_others={"litellm": [ChunkSample({"litellm": cost}) for cost in (400.0, 960.0, 450.0)]},
        requests_others={
            "litellm": [RequestSample({"litellm": 7.1}, 200.0)] * 3,
            "portkey": [RequestSample({"portkey": 0.9}, 900.0)] * 3,
        },
    ).rows
    assert [
        (row.measure, row.gateway, row.other, round(row.figure, 1), row.budget, row.verdict)
        for row in rows
        if row.other
    ] == [
        ("CPU per streamed chunk, litellm", 18.0, 450.0, 25.0, 25.0, "within"),
        ("CPU per request, litellm", 0.9, 7.1, 7.9, 8.0, "under"),
        ("CPU per request, portkey", 0.9, 0.9, 1.0, None, None),
    ]


def test_the_table_shows_errors_and_verdicts() -> None:
    counts = Counts(requests=7, streams=3, chunks=90, errors=Counter({"gateway: status 503": 2}))
    console = Console(file=io.StringIO(), width=120)
    print_report(report_of(samples(), counts, cores=2, rounds=3), console)
    text = console.file.getvalue()
    assert "3 rounds on 2 cores: 7 requests, 3 streams, 90 chunks" in text
    assert "2 x gateway: status 503" in text
    line = next(line for line in text.splitlines() if line.startswith("CPU per streamed chunk"))
    assert re.sub(" +", " ", line).strip() == (
        "CPU per streamed chunk 10.0 µs 18.0 µs 1.60 x 1.60 to 1.80 ≤ 1.7 x within"
    )
