"""A whole run, as small as it can be. Asserts what was counted and that nothing is left; never a time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import bench.options
from bench.options import Options, Plan
from headgate.cli import main

pytestmark = pytest.mark.alone

TINY = Options(
    rounds=2,
    interval_s=0.001,
    streams=3,
    short=2,
    long=5,
    requests=20,
    connections=4,
    latency_requests=5,
    starts=1,
    idle_s=0.05,
    plan=Plan(rounds=1, seconds=0.3, warm_s=0.1),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder that the run has to leave empty."""
    monkeypatch.setattr(bench.options, "QUICK", TINY)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what the usage store gathers: seconds for each batch, in tests that are not about figures."""
    monkeypatch.setattr("bench.stored.Stored.until_all", lambda _: None)


def descendants() -> set[int]:
    """Processes that this one started and that still run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(folder.name))
    return found


def test_a_run_counts_what_it_did_and_leaves_nothing(tiny: Path) -> None:
    before = descendants()
    result = CliRunner().invoke(main, ["bench", "--only", "budgets", "--alone", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    # Three ways, a warm-up of 4 each, then per round 20 requests; 5 for the latency of two ways.
    assert report["requests"] == 3 * 4 + 2 * (3 * 20 + 2 * 5)
    assert report["streams"] == 2 * 3 * 2 * 3  # rounds, ways, lengths, at once
    assert report["chunks"] == 2 * 3 * 3 * (2 + 5)
    assert report["errors"] == {}
    assert [row["measure"] for row in report["rows"] if row["budget"]] == [
        "CPU per streamed chunk",
        "CPU per translated chunk, anthropic",
        "CPU per request",
        "CPU per request, tenant with token limits",
        "latency p50, one client",
        "latency p99, one client",
        "memory idle (PSS, Envoy + filters)",
        "headgate up to first answer",
    ]
    samples = report["samples"]
    assert {name: len(found) for name, found in samples.items() if isinstance(found, list)} == {
        "chunks_plain": 2,
        "chunks_gateway": 2,
        "requests_plain": 2,
        "requests_gateway": 2,
        "requests_limited": 2,
        "latency_plain": 2,
        "latency_gateway": 2,
        "up_s": 1,
    }
    assert {api: len(found) for api, found in samples["chunks_translated"].items()} == {"anthropic": 2}
    assert set(samples["idle"]) == {
        *("envoy", "filters", "valkey", "ledger", "supervisor", "bridge", "control", "usage"),
    }
    assert descendants() == before


@pytest.mark.usefixtures("hasty")
def test_translations_are_of_every_api_that_is_not_openais_and_of_responses(tiny: Path) -> None:
    result = CliRunner().invoke(
        main, ["bench", "--only", "budgets", "--alone", "--quick", "--rounds", "1", "--translations", "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    apis = ["anthropic", "gemini", "bedrock", "cohere", "responses", "responses on anthropic"]
    assert {api: len(found) for api, found in report["samples"]["chunks_translated"].items()} == dict.fromkeys(
        apis, 1
    )
    assert report["streams"] == (2 + len(apis)) * 2 * 3  # ways, lengths, at once
    assert report["chunks"] == (2 + len(apis)) * 3 * (2 + 5)
    assert report["errors"] == {}
    rows = [row["measure"] for row in report["rows"] if row["compared"] == "ratio" and row["budget"]]
    assert rows == ["CPU per streamed chunk", *(f"CPU per translated chunk, {api}" for api in apis)]


@pytest.mark.usefixtures("hasty")
def test_answers_to_a_tenant_with_token_limits_are_bounded_or_it_is_an_error(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.gateway._TOKEN_LIMITS", {})
    result = CliRunner().invoke(main, ["bench", "--only", "budgets", "--alone", "--quick", "--rounds", "1"])
    assert result.exit_code == 1
    assert (
        '24 x limited: status 400: {"error":{"message":"not what the bench sends"}}' in result.output
    )  # warm-up too


@pytest.mark.usefixtures("hasty")
def test_scenarios_are_asked_of_all_ways_and_the_run_is_kept(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept, before = tmp_path_factory.mktemp("kept"), descendants()
    scenarios = (
        "short",
        "streams-16",
        "big",
        "embeddings",
        "bad-key",
        "over-limit",
        "translated",
        "fallback",
        "mixed",
    )
    only = [word for name in scenarios for word in ("--only", name)]
    result = CliRunner().invoke(main, ["bench", "--quick", *only, "--alone", "--save", str(kept)])
    assert result.exit_code == 0, result.output
    (saved,) = kept.glob("*.json")
    report = json.loads(saved.read_bytes())
    assert report["errors"] == {}
    found = {(row["scenario"], row["label"], row["way"]) for row in report["ways"]}
    everywhere = [
        ("short", ""),
        ("streams-16", ""),
        ("big", "short"),
        ("big", "400 kB"),
        ("embeddings", ""),
        ("mixed", ""),
    ]
    here = [("bad-key", ""), ("over-limit", ""), ("translated", ""), ("fallback", "")]
    assert found == {(*one, way) for one in everywhere for way in ("direct", "plain", "gateway")} | {
        (*one, "gateway") for one in here
    }
    assert all(row["answered"] and row["cpu_ms"] > 0 for row in report["ways"])
    assert {"cpu", "cores", "kernel"} < set(report["machine"])
    assert saved.with_suffix(".svg").read_text().startswith("<?xml")
    assert descendants() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--only", "long"], "--only long is none of bad-key, big, budgets,"),
        (["--against", "kong"], "--against kong is none of litellm, portkey"),
    ],
)
def test_names_that_nobody_knows_are_refused(wrong: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["bench", *wrong])
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.usefixtures("hasty")
def test_wrong_answers_are_named_and_the_exit_code_says_so(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.subject.USAGE", {})  # plain Envoy's client no longer asks for what the upstream wants
    result = CliRunner().invoke(main, ["bench", "--only", "budgets", "--alone", "--quick", "--rounds", "1"])
    assert result.exit_code == 1
    assert 'plain: status 400: {"error":{"message":"usage not asked for"}}' in result.output


def test_a_gateway_that_does_not_start_ends_the_run_with_its_words(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.gateway.MODEL", "no name")
    result = CliRunner().invoke(main, ["bench", "--only", "budgets", "--alone", "--quick"])
    assert result.exit_code == 1
    assert result.stderr.startswith("headgate up ended with 1:\n")
    assert 'found "no name"' in result.stderr
