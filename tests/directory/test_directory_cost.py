"""How much of a worker's memory 100,000 keys are, with their tenants and people."""

from pathlib import Path

from headgate.directory.file import FILE
from headgate.directory.following import Following
from tests.directory.directory_cost import KEYS, TENANTS, digest, worker_mb, write


def test_a_hundred_thousand_keys_are_less_than_a_hundred_megabytes(tmp_path: Path) -> None:
    write(tmp_path).close()
    assert (tmp_path / FILE).stat().st_size < 40e6
    assert worker_mb(tmp_path) < 100
    directory = Following(tmp_path).directory
    for number in range(0, KEYS, 997):
        found = directory.key(digest(number))
        assert found
        assert (found.tenant, found.version) == (f"tenant-{number % TENANTS}", number)
        assert len(directory.limited_keys(found.tenant or "")) == KEYS // TENANTS
