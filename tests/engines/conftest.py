"""Real simulator processes for the tests of this folder."""

from collections.abc import Iterator

import pytest
from raw_http import Engine, started


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A quick simulator that records, shared by all tests; each finds its own lines by the answer's id."""
    record = tmp_path_factory.mktemp("simulator") / "record.jsonl"
    with started(record, "--ttft", "0.005", "--token", "0.001") as running:
        yield running
