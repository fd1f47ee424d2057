"""What a gateway tells the tests' process as its remote worker is forgotten with the test."""

import pytest

from headgate import spool_room


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_room, "told_free_bytes", [])
