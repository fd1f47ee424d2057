"""A writer that is killed wherever it is: every row is in the store once, and so it is in every rollup."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.journal.progress import read_progress
from ledger.store.schema import ROLLUPS
from tests.store.made_rows import Journal, make_rows, sums_of
from tests.store.stores import open_store, stored_sums, twice

KILLS = int(os.environ.get("HEADGATE_STORE_KILLS", "20"))


@pytest.mark.timeout(540 + 20 * KILLS)
def test_killed_at_random_it_keeps_every_row_once(tmp_path: Path) -> None:
    rows, chance = make_rows(1, 1_800 * KILLS), random.Random()  # noqa: S311 - when to kill
    journal = Journal(tmp_path / "ledger" / "usage.db")
    newest = journal.append(rows, at_once=300)
    kills, deadline = 0, time.monotonic() + 480 + 20 * KILLS
    while kills < KILLS or read_progress("store", tmp_path / "ledger").seq < newest:
        assert time.monotonic() < deadline
        process = subprocess.Popen([sys.executable, "-m", "tests.store.write", str(tmp_path), "1500"])
        before = read_progress("store", tmp_path / "ledger").seq
        while read_progress("store", tmp_path / "ledger").seq == before and before < newest:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.random() * 0.4)  # somewhere in the next block, or the one after it
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        if kills == KILLS // 2:  # what the store has comes again, under other numbers and in other blocks
            journal.lose()
            newest = journal.append(rows, at_once=700)
    journal.close()
    store = open_store(tmp_path / "usage")
    with store.client() as client:
        assert twice(client) == 0
        assert stored_sums(client) == dict.fromkeys(("requests", *ROLLUPS), sums_of(rows))
    store.close()
