"""What the writer says to the store: which rows are there, a batch into `requests`, and from there into the rollups.

Exactly once rests on three things. Rows whose key is there already are left out. All rows of an insert bear the
number of its batch. And a rollup gets a batch in one part of its table, together with a row that has the batch's
number as its `mark`: the part is there whole or not at all, so the mark says whether the batch is in it. A number is
its gateway's: another one may give the same, so that both are always named. Blocks; raises what the client raises.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ledger.rows import Row
from ledger.store.schema import KEPT_DAYS, REQUEST_COLUMNS, REQUESTS, ROLLED_COLUMNS, ROLLING, ROLLUPS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Of a row: its request, its sign, whether it is a charged estimate. A client may have chosen the id of a request that
# is nobody's, so that these are told apart by their times and sizes, too, and stand for no other one's.
Key = tuple[str | int | bool, ...]

FENCE_S = 15.0  # `in_time` of migrations/0001_first.sql

_LONGEST_LIST = 120_000  # bytes: a ClickHouse takes 128 KiB as one parameter
_LONGEST_SUM = 12  # of them: a sum of 32 bits, and what is between two
_MARKS_KEPT_MS = 29 * 86_400_000  # migrations/0001_first.sql has a day more
_LOOK_BACK_MS = (3_600_000, 86_400_000, _MARKS_KEPT_MS)
_STAYS_S = 86_400
_MS = 20  # a batch's number is Unix milliseconds << 20, and a count

# All of an insert in one block: then it is one part of each month, and all of its rows are of one.
ONE_PART: dict[str, Any] = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "max_insert_threads": 1,
    "max_insert_block_size": 2**30,
    "min_insert_block_size_rows": 2**30,
    "min_insert_block_size_bytes": 0,
}
_ROW_COLUMNS = tuple(
    {"began": "began_ms", "ended": "ended_ms", "kept_until": "kept_until_s"}.get(name, name)
    for name in REQUEST_COLUMNS
)
# A mark's own row: of no usage, but never without a sum, or merging would drop it. Its key is the gateway's id.
_MARKS_ROW = {
    "key_id": "{gateway:String}",
    "began": "fromUnixTimestamp64Milli({first:Int64}, 'UTC')",
    "sign": "1",
    "cost": "NULL",
}

_TEXTS = {name for name in ROLLED_COLUMNS if "String" in REQUEST_COLUMNS[name]}
_BETWEEN = (
    "began BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND fromUnixTimestamp64Milli({last:Int64}, 'UTC')"
)

_RANGES = {"Int8": (-128, 127), "UInt8": (0, 255), "UInt16": (0, 2**16 - 1), "Int64": (-(2**63), 2**63 - 1)}
_LAST_MS = 4_102_444_800_000  # the year 2100
_MOST_COST = 10**20

_encode = msgspec.json.Encoder().encode


def key_of(row: Row) -> Key:
    """What no two rows of the store have in common."""
    key = (row.request_id, row.sign, row.reason != "")
    if row.tenant:
        return key
    return (*key, row.ended_ms, row.began_ms, row.status, row.bytes_in, row.bytes_out)


def in_time(row: Row) -> Row:
    """The row, with times of a clock that was lost brought to the next one that a column has."""
    if 0 <= row.began_ms <= row.ended_ms < _LAST_MS:
        return row
    times = (min(max(time_ms, 0), _LAST_MS) for time_ms in (row.began_ms, row.ended_ms))
    return msgspec.structs.replace(row, **dict(zip(("began_ms", "ended_ms"), times, strict=True)))


def fitting(row: Row) -> Row:
    """The row with numbers that its columns have room for."""
    changed: dict[str, Any] = {}
    for name, column in zip(Row.__struct_fields__, REQUEST_COLUMNS.values(), strict=False):
        value = getattr(row, name)
        kind = column.partition(" ")[0].removeprefix("Nullable(").rstrip(")")
        if type(value) is int and (least := _RANGES.get(kind, _RANGES["Int64"])):
            changed[name] = min(max(value, least[0]), least[1])
    if row.cost is not None and not abs(row.cost) < _MOST_COST:
        changed["cost"] = None
    return msgspec.structs.replace(row, **changed)


def kept_until_s(row: Row) -> int:
    """When the store may forget it, Unix time: as migrations/0001_first.sql has it."""
    return row.kept_until_s or row.began_ms // 1000 + KEPT_DAYS * 86_400


def staying(row: Row, batch: int) -> Row:
    """The row, kept for a day after its batch at least: one whose time is over might go before it is in the sums."""
    until_s = (batch >> _MS) // 1000 + _STAYS_S
    return row if kept_until_s(row) >= until_s else msgspec.structs.replace(row, kept_until_s=until_s)


def month_of(row: Row) -> tuple[int, int]:
    """The partition that it is in."""
    began = datetime.fromtimestamp(row.began_ms / 1000, UTC)
    return began.year, began.month


def known_keys(client: "Client", rows: Sequence[Row], names: Mapping[str, str] = MappingProxyType({})) -> set[Key]:
    """Those of these rows that the store has, of any batch, and maybe some that are none of them.

    `names`: another one that a tenant may be under. Ids are asked for by their check sums: to write a text into a
    question takes four times what it takes to write a number.
    """
    found: set[Key] = set()
    by_time = sorted(rows, key=lambda row: row.began_ms)  # so that each question is about a short time
    for some in _askable(by_time, names):
        tenants = {row.tenant for row in some}
        answer = client.query(
            "SELECT tenant, request_id, sign, reason != '', toUnixTimestamp64Milli(ended),"
            f" toUnixTimestamp64Milli(began), status, bytes_in, bytes_out FROM {REQUESTS}"
            f" WHERE tenant IN {{tenants:Array(String)}} AND {_BETWEEN}"
            " AND CRC32(request_id) IN {sums:Array(UInt32)}",
            parameters={
                "tenants": sorted(tenants | {names[tenant] for tenant in tenants & names.keys()}),
                "first": some[0].began_ms,
                "last": some[-1].began_ms,
                "sums": [zlib.crc32(row.request_id.encode()) for row in some],
            },
        )
        found.update(tuple(values[: 3 if tenant else None]) for tenant, *values in answer.result_rows)
    return found


def insert(client: "Client", rows: Sequence[Row], gateway: str, batch: int) -> None:
    """Into `requests` alone."""
    end = b"," + _encode(gateway) + b"," + _encode(batch) + b"]\n"
    # No bytes: those the client would send again when a connection broke, and they may be in the store already.
    body = (piece for piece in (b"".join([_encode(row)[:-1] + end for row in rows]),))
    settings = ONE_PART | {"query_id": f"{_asker(gateway)}{batch}"}
    client.raw_insert(REQUESTS, list(_ROW_COLUMNS), body, fmt="JSONCompactEachRow", settings=settings)


def roll_up(client: "Client", began_ms: tuple[int, int], gateway: str, batch: int, only: str = "") -> None:
    """A gateway's batch into all rollups, or only into one, through their views.

    `began_ms`: its first and last moment.
    """
    columns, now_ms = ", ".join(ROLLED_COLUMNS), clock_ms(client)
    marks = ", ".join(_MARKS_ROW.get(name, "''" if name in _TEXTS else "0") for name in ROLLED_COLUMNS)
    client.command(
        f"INSERT INTO {ROLLING} ({columns}, mark, only, asked_ms)"
        f" SELECT {columns}, 0, {{only:String}}, {{now:Int64}} FROM {REQUESTS}"
        f" WHERE gateway = {{gateway:String}} AND batch = {{batch:UInt64}} AND {_BETWEEN}"
        f" UNION ALL SELECT {marks}, {{batch:UInt64}}, {{only:String}}, {{now:Int64}}"
        f" SETTINGS {', '.join(f'{name} = {value}' for name, value in ONE_PART.items())}, max_threads = 1",
        parameters={
            "gateway": gateway,
            "batch": batch,
            "first": began_ms[0],
            "last": began_ms[1],
            "only": only,
            "now": now_ms,
        },
        settings={"query_id": f"{_asker(gateway)}{batch}-{only}-{now_ms}"},
    )


def end_own_statements(client: "Client", gateway: str) -> None:
    """Those of this gateway that a server is still at."""
    client.command(
        "KILL QUERY WHERE startsWith(query_id, {asker:String}) AND user = currentUser() SYNC",
        parameters={"asker": _asker(gateway)},
    )


class Last(NamedTuple):
    """A batch, when the last of its requests ended, and the month that they began in (202611)."""

    batch: int = 0
    ended_ms: int = 0
    month: int = 0


def finish(client: "Client", gateway: str) -> Last:
    """What an earlier process, or a call without an answer, has left half done: only the last batch can be.

    No other one is begun before it is done.
    """
    now_ms = clock_ms(client)
    for back_ms in _LOOK_BACK_MS:
        answer = client.query(
            "SELECT batch, toUnixTimestamp64Milli(min(began)), toUnixTimestamp64Milli(max(began)),"
            f" toUnixTimestamp64Milli(max(ended)), toYYYYMM(min(began)) FROM {REQUESTS}"
            " WHERE gateway = {gateway:String} AND batch >= {since:UInt64}"
            " GROUP BY batch ORDER BY batch DESC LIMIT 1",
            parameters={"gateway": gateway, "since": max(now_ms - back_ms, 0) << _MS},
        )
        for batch, first_ms, last_ms, ended_ms, month in answer.result_rows:
            for table in ROLLUPS:
                if not has_mark(client, table, gateway, batch):
                    roll_up(client, (first_ms, last_ms), gateway, batch, only=table)
            return Last(batch, ended_ms, month)
    return Last()


def next_batch(client: "Client", last: int) -> int:
    """A number beyond the last one, by the store's own clock: its tables take no batch that is older than FENCE_S."""
    return max(last + 1, clock_ms(client) << _MS)


def clock_ms(client: "Client") -> int:
    """The store's time."""
    ((now_ms,),) = client.query("SELECT toUnixTimestamp64Milli(now64(3))").result_rows
    return int(now_ms)


def has_mark(client: "Client", table: str, gateway: str, batch: int) -> bool:
    """Whether a rollup has this batch of that gateway."""
    answer = client.query(
        f"SELECT 1 FROM {table}"
        " WHERE tenant = '' AND mark = {batch:UInt64} AND key_id = {gateway:String} LIMIT 1",
        parameters={"batch": batch, "gateway": gateway},
    )
    return bool(answer.result_rows)


def months(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows of each month, which are a batch of their own: a part of a table is of one partition."""
    found: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        found.setdefault(month_of(row), []).append(row)
    yield from found.values()


def _askable(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[list[Row]]:
    """So many at a time as one question can name, even if every character of their tenants has to be escaped."""
    some: list[Row] = []
    tenants: set[str] = set()
    size = 0
    for row in rows:
        longest = 2 * len((row.tenant + names.get(row.tenant, "")).encode()) + 8
        if row.tenant not in tenants:
            size += longest
        if some and (size > _LONGEST_LIST or (len(some) + 1) * _LONGEST_SUM > _LONGEST_LIST):
            yield some
            some, tenants, size = [], set(), longest
        tenants.add(row.tenant)
        some.append(row)
    if some:
        yield some


def _asker(gateway: str) -> str:
    return f"headgate-{gateway}-"
