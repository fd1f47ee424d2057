"""Takes a deleted tenant out of the store, once the host's ledger is done with it and all on its way is here.

What was used stays under the deletion's id, by day and model, so that sums of everybody stay right; requests, keys,
users and times of day are gone. Sums are moved: one part of a table has what the deletion gets and, with the sign
turned, what the tenant loses. Whatever is killed, comes again or is done by two gateways at once, nothing is added or
lost, and what still counts for the tenant is moved the next time. What adds up to nothing is removed. Nothing is
reported before a look has found nothing. In the writer's thread, between its blocks.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from headgate.contract import ERASURES
from headgate.erasures import Erasure, Report, asked, report_stored, reported, reported_stored
from ledger.journal.reader import JournalReader
from ledger.store.batches import ONE_PART, clock_ms
from ledger.store.client import Store
from ledger.store.schema import GROUP_COLUMNS, REQUESTS, ROLLUPS, SUM_COLUMNS
from ledger.store.writer import Writer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# What stays of a group; all else is emptied.
_STAYS = {"model", "provider", "upstream_model", "surface", "unit", "estimated"}
_EMPTY = "''"
_TABLES = (REQUESTS, *ROLLUPS)
_MOST_MOVED = 100_000  # sums of one statement, which has all of them in memory
_DAYS_AT_ONCE = 20  # the writer's blocks are in between
_MOVED_WITHIN_S = 50  # a statement, or the server ends it
_QUIET_S = 60.0
_OTHERS_DONE_S = 900.0  # by then another gateway has noted a batch, or is away for long

_GROUPS, _SUMS = ", ".join(GROUP_COLUMNS), ", ".join(SUM_COLUMNS)
_COUNTING = (  # what of a tenant does not add up to nothing
    f"SELECT {_GROUPS}, {', '.join(f'sum(t.{name}) AS sum_{name}' for name in SUM_COLUMNS)} FROM {{table}} AS t"
    " WHERE t.tenant = {{tenant:String}} AND t.mark = 0{day}"
    f" GROUP BY {_GROUPS} HAVING {' OR '.join(f'sum_{name} != 0' for name in SUM_COLUMNS)}"
)
_IN_ORDER = "optimize_aggregation_in_order = 1, max_threads = 1"  # a table's own: little memory, however many

log = structlog.get_logger()


class StoreEraser:
    """`look` from time to time; it raises StoreError, JournalAway and OSError, and goes on the next time."""

    def __init__(self, store: Store, writer: Writer, journal: JournalReader, folder: Path = ERASURES) -> None:
        self._store = store
        self._writer = writer
        self._journal = journal
        self._folder = folder
        # By deletion: where the journal ended when the ledger was done.
        self._waits_for: dict[str, tuple[int, str]] = {}
        # By deletion and table: since when nothing in it counts for the tenant.
        self._moved_since: dict[tuple[str, str], float] = {}

    def look(self) -> None:
        """One step for each deletion that is asked for."""
        if not self._folder.exists():
            return
        for erasure in asked(self._folder):
            if reported(erasure.id, self._folder) and not reported_stored(erasure.id, self._folder):
                self._erase(erasure)

    def _erase(self, erasure: Erasure) -> None:
        identity = self._journal.identity()
        if erasure.id not in self._waits_for or self._waits_for[erasure.id][1] != identity:
            self._waits_for[erasure.id] = (self._journal.newest(), identity)
        if not self._writer.is_done_with(*self._waits_for[erasure.id]):
            self._writer.rounds.ask()
            return
        left = dict.fromkeys(_TABLES, 0)
        if self._store.exists:
            with self._store.client() as client:
                if not self._writer.settle(client):
                    return
                left = _left(client, erasure.tenant)
                if any(left.values()):
                    self._step(client, erasure, {table for table, count in left.items() if count})
                    return  # a look afterwards, the next time
        report_stored(Report(erasure.id, {}, left), self._folder)
        del self._waits_for[erasure.id]
        for table in ROLLUPS:
            self._moved_since.pop((erasure.id, table), None)
        log.info("a deleted tenant is out of the usage store", deletion=erasure.id)

    def _step(self, client: "Client", erasure: Erasure, tables: set[str]) -> None:
        """Not in a table whose parts are being written anew: they are there half with and half without the tenant."""
        busy = client.query(
            "SELECT DISTINCT table FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
        )
        tables -= {table for (table,) in busy.result_rows}
        for table in tables & set(ROLLUPS):
            if days := _days(client, erasure.tenant, table):
                self._moved_since.pop((erasure.id, table), None)
                for day_s in days:
                    _move(client, erasure, table, day_s)
            elif self._is_settled(erasure, table):
                _remove(client, erasure.tenant, table)
        if REQUESTS in tables:
            _remove_requests(client, erasure.tenant, self._writer.gateway)

    def _is_settled(self, erasure: Erasure, table: str) -> bool:
        """Whether no other gateway can be about to move the same: it would have seen something to move before."""
        now = time.monotonic()
        since = self._moved_since.setdefault((erasure.id, table), now)
        return self._store.is_embedded or now - since >= _QUIET_S


def _left(client: "Client", tenant: str) -> dict[str, int]:
    found = {}
    for table in _TABLES:
        sql = f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
        ((found[table],),) = client.query(sql, parameters={"tenant": tenant}).result_rows
    return found


def _days(client: "Client", tenant: str, table: str) -> list[int]:
    """Some on which something counts for the tenant, as Unix times."""
    answer = client.query(
        f"SELECT DISTINCT toUnixTimestamp(toStartOfDay(began)) FROM ({_COUNTING.format(table=table, day='')})"
        f" LIMIT {_DAYS_AT_ONCE} SETTINGS {_IN_ORDER}",
        parameters={"tenant": tenant},
    )
    return [day_s for (day_s,) in answer.result_rows]


def _move(client: "Client", erasure: Erasure, table: str, day_s: int) -> None:
    """What counts for the tenant on a day, or some of it: read once, and written as one part."""
    kept = {"tenant": "{id:String}", "began": "toStartOfDay(began)"} | {name: name for name in _STAYS}
    groups = [f"if(sign > 0, {kept.get(name, _EMPTY)}, {name})" for name in GROUP_COLUMNS if name != "mark"]
    on_day = " AND t.began >= toDateTime({day:UInt32}, 'UTC') AND t.began < toDateTime({end:UInt32}, 'UTC')"
    counting = _COUNTING.format(table=table, day=on_day)
    settings = ", ".join(f"{name} = {value}" for name, value in ONE_PART.items())
    client.command(
        f"INSERT INTO {table} ({_GROUPS}, {_SUMS}) SELECT {', '.join(groups)}, 0,"
        f" {', '.join(f'sign * sum_{name}' for name in SUM_COLUMNS)}"
        f" FROM ({counting} LIMIT {_MOST_MOVED}) ARRAY JOIN [1, -1] AS sign"
        f" SETTINGS {settings}, {_IN_ORDER}, max_execution_time = {_MOVED_WITHIN_S}",
        parameters={"id": erasure.id, "tenant": erasure.tenant, "day": day_s, "end": day_s + 86_400},
    )


def _remove(client: "Client", tenant: str, table: str) -> None:
    """Have the table's parts written anew without it, in the background."""
    client.command(f"ALTER TABLE {table} DELETE WHERE tenant = {{tenant:String}}", parameters={"tenant": tenant})


def _remove_requests(client: "Client", tenant: str, gateway: str) -> None:
    """Others' only when these must have noted and summed them up: of a half done batch they would make them again."""
    where = "tenant = {tenant:String} AND (gateway = {gateway:String} OR batch < {old:UInt64})"
    old = (clock_ms(client) - int(_OTHERS_DONE_S * 1000)) << 20
    parameters = {"tenant": tenant, "gateway": gateway, "old": old}
    if client.query(f"SELECT 1 FROM {REQUESTS} WHERE {where} LIMIT 1", parameters=parameters).result_rows:
        client.command(f"ALTER TABLE {REQUESTS} DELETE WHERE {where}", parameters=parameters)
