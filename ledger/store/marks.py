"""What the store says of who writes into it: which gateways have stored something of a month, and how far each is.

A run is what one writer has stored without having been in doubt, named by its first batch. Its mark is its last one,
written when all tables have that. So whoever has heard of a mark finds that run as far or farther for good, but where
the store was put back or made anew: what is written there afterwards is another run, and hides nothing. Batches of
before this table are in a run 0. Blocks; raises what the client raises.
"""

from typing import TYPE_CHECKING

import msgspec

from headgate.usage_questions import Mark
from ledger.store.schema import GATEWAYS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_MOST = 100_000  # a run is a process, or an outage: years of many gateways
_COLUMNS = ("gateway", "run", "month", "batch")


def note_mark(client: "Client", mark: Mark) -> None:
    """The same again, or an earlier one of the run, does no harm."""
    client.command(
        f"INSERT INTO {GATEWAYS} ({', '.join(_COLUMNS)})"
        " SELECT {gateway:String}, {run:UInt64}, {month:UInt32}, {batch:UInt64}",
        parameters=msgspec.structs.asdict(mark),
    )


def stored_marks(client: "Client") -> list[Mark]:
    """All that there are."""
    found = client.query(
        f"SELECT gateway, run, month, max(batch) FROM {GATEWAYS} GROUP BY gateway, run, month"
        f" ORDER BY gateway, run, month LIMIT {_MOST}"
    )
    return [Mark(**dict(zip(_COLUMNS, values, strict=True))) for values in found.result_rows]


def has_mark(client: "Client", mark: Mark) -> bool:
    """Whether that run is as far."""
    found = client.query(
        f"SELECT 1 FROM {GATEWAYS}"
        " WHERE gateway = {gateway:String} AND run = {run:UInt64} AND batch >= {batch:UInt64} LIMIT 1",
        parameters={"gateway": mark.gateway, "run": mark.run, "batch": mark.batch},
    )
    return bool(found.result_rows)
