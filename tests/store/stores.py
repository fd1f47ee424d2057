"""What stands in a store, asked past everything of ours but its schema."""

from pathlib import Path
from typing import Any

from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.schema import REQUESTS, ROLLUPS, SUM_COLUMNS
from tests.store.made_rows import sums_of

NAMES = tuple(sums_of(()))


def open_store(folder: Path) -> Store:
    return Store(None, folder, lambda client: bring_up(client, migrations()))


def stored_sums(client: Any) -> dict[str, dict[str, Any]]:
    """By table."""
    found = {}
    for table in (REQUESTS, *ROLLUPS):
        sums = [f"sum({SUM_COLUMNS[name][1] if table == REQUESTS else name})" for name in NAMES]
        where = "" if table == REQUESTS else "WHERE mark = 0"
        (values,) = client.query(f"SELECT {', '.join(sums)} FROM {table} {where}").result_rows
        found[table] = dict(zip(NAMES, values, strict=True))
    return found


def twice(client: Any) -> int:
    """How many rows are there more than once."""
    key = "request_id, sign, reason != '', if(tenant = '', toString(ended), '')"
    ((count,),) = client.query(f"SELECT count() - uniqExact({key}) FROM {REQUESTS}").result_rows
    return int(count)


def stored_rows(client: Any) -> int:
    ((count,),) = client.query(f"SELECT count() FROM {REQUESTS}").result_rows
    return int(count)
