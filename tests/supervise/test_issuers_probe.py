"""What the supervisor says of issuers' keys, by the files that the ledger writes."""

from pathlib import Path

import msgspec
import pytest

from headgate.issuers import LIVE_S, IssuerKeys, IssuerRow, keys_file
from headgate.supervise.issuers import fetched_at, keys_fetched

ROWS = tuple(IssuerRow(f"https://{name}.example", ("headgate",)) for name in ("one", "two"))
NOW = 2_000_000_000.0


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys_file(ROWS[0]).parent.mkdir(parents=True)


def write(row: IssuerRow, fetched: float, tried: float) -> None:
    keys_file(row).write_bytes(msgspec.json.encode(IssuerKeys(row.issuer, [], fetched, tried)))


async def test_keys_that_came_are_nothing_to_say() -> None:
    for row in ROWS:
        write(row, NOW - 60, NOW - 60)
    assert await keys_fetched(ROWS, lambda: NOW)() is None
    assert fetched_at(ROWS) == {("https://one.example",): NOW - 60, ("https://two.example",): NOW - 60}


async def test_a_fetch_that_failed_is_said_while_the_old_keys_count() -> None:
    write(ROWS[0], NOW - 60, NOW - 60)
    write(ROWS[1], NOW - 7200, NOW - 5)
    said = await keys_fetched(ROWS, lambda: NOW)()
    assert said == "keys of 1 of 2 issuers can't be fetched: old ones count"
    assert fetched_at(ROWS)["https://two.example",] == NOW - 7200


@pytest.mark.parametrize("fetched", [None, 0.0, NOW - LIVE_S])
async def test_issuers_without_keys_that_count(fetched: float | None) -> None:
    write(ROWS[0], NOW - 60, NOW - 60)
    if fetched is not None:
        write(ROWS[1], fetched, NOW)
    said = await keys_fetched(ROWS, lambda: NOW)()
    assert said == "there are no keys of 1 of 2 issuers: their tokens are refused"
    keys_file(ROWS[0]).write_bytes(b"{")
    assert await keys_fetched(ROWS, lambda: NOW)() == (
        "there are no keys of 2 of 2 issuers: their tokens are refused"
    )
    assert fetched_at(ROWS)["https://one.example",] == 0
