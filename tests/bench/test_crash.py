"""Envoy, workers, counters, ledger and store are killed at random under load: every token is accounted for, once.

HEADGATE_CRASH_SEED runs the same requests and kills again; HEADGATE_CRASH_REQUESTS and _KILLS make it longer, as does
`python -m bench.crash`.
"""

import os
from pathlib import Path

import pytest

from bench.crash.asks import VICTIMS, Options
from bench.crash.gateway import random_seed
from bench.crash.run import run

pytestmark = pytest.mark.alone

REQUESTS = int(os.environ.get("HEADGATE_CRASH_REQUESTS", "2000"))
KILLS = int(os.environ.get("HEADGATE_CRASH_KILLS", "20"))
SEED = int(os.environ.get("HEADGATE_CRASH_SEED", random_seed()))


@pytest.mark.timeout(300 + REQUESTS)
def test_every_token_is_accounted_for_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nseed {SEED}", flush=True)  # noqa: T201 - what has to be known when it fails
        verdict = run(Options(REQUESTS, KILLS, SEED), tmp_path)
        print("\n".join(f"{name}: {value}" for name, value in verdict.figures.items()))  # noqa: T201
    assert verdict.problems == []
    figures = verdict.figures
    assert figures["requests"] >= REQUESTS
    killed = [part for part, times in figures["kills"].items() for _ in range(times)]
    assert len(killed) == KILLS
    assert {sum(part.startswith(victim) for part in killed) for victim in VICTIMS} == {KILLS // len(VICTIMS)}
    # All of it has happened, or nothing was shown.
    for kind in ("finished", "aborted", "estimated", "failed", "recovered", "of these without limits"):
        assert figures[kind] > 0, kind
