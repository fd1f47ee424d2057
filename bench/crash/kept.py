"""What a gateway that has ended has kept: the ledger's sums, and the store's rows and sums. Decides nothing."""

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.schema import REQUESTS, ROLLUPS


class Sums(NamedTuple):
    """Of one tenant."""

    requests: int
    input: int
    output: int
    nano_usd: int


class Stored(NamedTuple):
    """A row of the store."""

    request_id: str
    sign: int
    tenant: str
    model: str
    provider: str
    user: str
    status: int
    flags: str
    requests: int
    input: int
    output: int
    estimated: bool
    reason: str
    nano_usd: int


@dataclass(frozen=True)
class Kept:
    """`rollups` are the store's own sums, by table and tenant; `estimates` the ledger's charges without a record."""

    settled: Mapping[str, Sums]
    rows: list[Stored]
    rollups: Mapping[str, Mapping[str, Sums]]
    estimates: frozenset[str]


_SETTLED = "SELECT tenant, sum(requests), sum(input), sum(output), sum(nano_usd) FROM usage_by_day GROUP BY tenant"
_ROW = (
    "request_id, sign, tenant, model, provider, user, status, flags, requests, prompt_tokens, completion_tokens,"
    " estimated, reason, price_nano"
)


def kept_in(state: Path) -> Kept:
    """Everything, of a state directory that nobody works in."""
    with contextlib.closing(sqlite3.connect(state / "ledger" / "usage.db")) as database:
        settled = _by_tenant(database.execute(_SETTLED))
        unreplaced = database.execute("SELECT request_id FROM charged_estimates WHERE replaced IS NULL")
        estimates = frozenset(request_id for (request_id,) in unreplaced)
    store = Store(None, state / "usage", lambda client: bring_up(client, migrations()))
    try:
        with store.client() as client:
            rows = [Stored(*row) for row in client.query(f"SELECT {_ROW} FROM {REQUESTS}").result_rows]  # noqa: S608
            rollups = {table: _by_tenant(client.query(_rolled(table)).result_rows) for table in ROLLUPS}
    finally:
        store.close()
    return Kept(settled, rows, rollups, estimates)


def _rolled(table: str) -> str:
    sums = "sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(price_nano)"
    return f"SELECT tenant, {sums} FROM {table} WHERE mark = 0 GROUP BY tenant"  # noqa: S608 - the schema's own names


def _by_tenant(found: Iterable[Any]) -> dict[str, Sums]:
    return {tenant: Sums(*map(int, sums)) for tenant, *sums in found if tenant}
