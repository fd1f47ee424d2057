"""A ClickHouse behind the real client that dies, hangs and comes back at any point: each row is kept once."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from ledger.journal.progress import read_progress
from ledger.journal.reader import JournalReader
from ledger.store import client as store_client
from ledger.store import writer
from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.schema import ROLLUPS
from tests.store.made_rows import Journal, make_rows, sums_of
from tests.store.servers import running_server
from tests.store.stores import stored_sums, twice

FENCE_S = 3.0  # shorter than the product's: each doubt waits for it
KILLS = int(os.environ.get("HEADGATE_STORE_KILLS", "6"))
GONE = (signal.SIGKILL, signal.SIGSTOP) * (KILLS // 2)


def steps() -> dict[int, list[str]]:
    found = {}
    for version, statements in migrations().items():
        found[version] = [text.replace("15000", str(int(FENCE_S * 1000))) for text in statements]
    assert found != migrations()
    return found


@pytest.mark.timeout(540 + 30 * KILLS)
def test_a_server_that_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FENCE_S", FENCE_S)
    monkeypatch.setattr(writer, "BLOCK_ROWS", 1_500)
    monkeypatch.setattr(writer, "LINGER_S", 0.0)
    monkeypatch.setattr(writer, "AGAIN_S", 0.2)
    monkeypatch.setattr(store_client, "ANSWER_TIMEOUT_S", 5.0)
    rows, chance, folder = make_rows(2, 6_000 * KILLS), random.Random(), tmp_path / "ledger"  # noqa: S311 - when to kill
    journal = Journal(folder / "usage.db")
    newest = journal.append(rows, at_once=300)
    with running_server(tmp_path / "server") as server:
        store = Store(server.url, tmp_path / "nothing", lambda client: bring_up(client, steps()))
        tested = writer.Writer(store, JournalReader(folder / "usage.db"), "gateway-1", folder)
        thread = threading.Thread(target=tested.run)
        thread.start()
        try:
            deadline = time.monotonic() + 480 + 30 * KILLS
            for gone in GONE:
                before = read_progress("store", folder).seq
                while read_progress("store", folder).seq == before < newest:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                time.sleep(chance.random() * 0.5)
                server.send(gone)
                if gone == signal.SIGSTOP:
                    time.sleep(chance.choice((0.5, 5.5)))
                    server.send(signal.SIGCONT)
                else:
                    server.start()
            while read_progress("store", folder).seq < newest:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            tested.rounds.stop()
            thread.join()
        with store.client() as client:
            assert twice(client) == 0
            assert stored_sums(client) == dict.fromkeys(("requests", *ROLLUPS), sums_of(rows))
        store.close()
    journal.close()
