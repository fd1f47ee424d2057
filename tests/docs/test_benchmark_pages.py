"""The tables of README.md and docs/benchmark.md are those of the newest run that is kept, whole."""

import json
from pathlib import Path

import pytest

from bench.page import pages_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "benchmarks"
KEPT = sorted(FOLDER.glob("bench-*.json"))
NEWEST = [kept[-1] for name in ("bench", "growth", "soak") if (kept := sorted(FOLDER.glob(f"{name}-*.json")))]


@pytest.mark.parametrize("kept", NEWEST, ids=[kept.stem for kept in NEWEST])
def test_the_pages_have_the_newest_run_and_its_picture(kept: Path) -> None:
    for path, text in pages_of(kept, ROOT).items():
        assert path.read_text() == text, f"python -m bench.page {kept.relative_to(ROOT)}"
    assert kept.with_suffix(".svg").exists()


def test_the_run_was_a_whole_one_and_says_how_to_repeat_it() -> None:
    found = json.loads(KEPT[-1].read_text())
    assert found["command"].startswith("headgate bench")
    assert not {"--quick", "--only", "--alone"} & set(found["command"].split())
    assert found["rows"]
    assert {"direct", "plain", "gateway", "litellm"} <= {row["way"] for row in found["ways"]}
