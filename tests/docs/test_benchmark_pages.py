"""The tables of README.md and docs/benchmark.md are those of the newest run that is kept, whole."""

import json
from pathlib import Path

from bench.page import pages_of

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "docs" / "benchmarks").glob("bench-*.json"))


def test_the_pages_have_the_newest_run() -> None:
    for path, text in pages_of(KEPT[-1], ROOT).items():
        assert path.read_text() == text, f"python -m bench.page {KEPT[-1].relative_to(ROOT)}"


def test_the_run_was_a_whole_one_and_says_how_to_repeat_it() -> None:
    found = json.loads(KEPT[-1].read_text())
    assert found["command"].startswith("headgate bench")
    assert not {"--quick", "--only", "--alone"} & set(found["command"].split())
    assert found["rows"]
    assert {"direct", "plain", "gateway", "litellm"} <= {row["way"] for row in found["ways"]}
