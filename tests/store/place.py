"""A state directory with a journal and a store, for tests of what the writer leaves there."""

from pathlib import Path
from typing import Any

from ledger.journal.reader import JournalReader
from ledger.rows import Row
from ledger.store import writer
from ledger.store.schema import REQUESTS, ROLLUPS
from tests.store.made_rows import Journal, sums_of
from tests.store.stores import open_store, stored_sums, twice

GATEWAY = "gateway-1"


class Place:
    """A state directory with a journal, a store, and writers that follow each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "ledger" / "usage.db")
        self.store = open_store(folder / "usage")

    def new_writer(self) -> writer.Writer:
        reader = JournalReader(self.folder / "ledger" / "usage.db")
        return writer.Writer(self.store, reader, GATEWAY, self.folder / "ledger", self.folder / "erasures")

    def write_all(self) -> writer.Writer:
        one = self.new_writer()
        while one.step():
            pass
        return one

    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.folder / "usage")

    def sums(self) -> dict[str, dict[str, Any]]:
        with self.store.client() as client:
            assert twice(client) == 0
            return stored_sums(client)


def in_all(rows: list[Row]) -> dict[str, dict[str, Any]]:
    return dict.fromkeys((REQUESTS, *ROLLUPS), sums_of(rows))
