"""What tests of the store have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store import writer
from tests.store.place import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(writer, "LINGER_S", 0.0)
    made = Place(tmp_path)
    yield made
    made.store.close()
    made.journal.close()
