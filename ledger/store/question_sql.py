"""The SQL of a question. Pure.

Text of the SQL comes from this file alone: every value of a question is a bound parameter, and names of dimensions
are looked up here. The tenant is in every WHERE that has one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.usage_questions import Dimension, Export, ExportedRow, Question, Sums, Width
from ledger.store.schema import BY_DAY, BY_HOUR, BY_MINUTE, REQUESTS, ROLLUP_DAYS, SUM_COLUMNS

_DAY_S = 86_400
_ROLLUPS = ((_DAY_S, BY_DAY), (3_600, BY_HOUR), (60, BY_MINUTE))
_WIDTH_S: Mapping[Width, int] = {"minute": 60, "hour": 3_600, "day": _DAY_S, "month": 28 * _DAY_S}

_DIMENSIONS: Mapping[Dimension, str] = {
    "tenant": "tenant",
    "model": "model",
    "provider": "provider",
    "upstream_model": "upstream_model",
    "key_id": "key_id",
    "user": "user",
    "project": "project",
    "surface": "surface",
    "unit": "unit",
    "estimated": "if(estimated, 'true', 'false')",
    "variant": "variant",
}

# What a SumRow adds up, in this order; `costed` says whether a cost of 0 is one.
SUMS = (
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "units",
    "estimated_requests",
    "price_nano",
    "cost",
    "costed",
)

EXPORTED = (
    "request_id",
    "sign",
    "toUnixTimestamp64Milli(ended)",
    "toUnixTimestamp64Milli(began)",
    "tenant",
    "key_id",
    "user",
    "project",
    "surface",
    "model",
    "provider",
    "upstream_model",
    "provider_key",
    "variant",
    "status",
    "flags",
    "attempts",
    "streamed",
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "unit",
    "units",
    "estimated",
    "reason",
    "price_nano",
    "cost",
    "bytes_in",
    "bytes_out",
    "content_events",
    "first_byte_ms",
    "first_token_ms",
    "duration_ms",
    "trace_id",
    "price_generation",
)
_EXPORT_ORDER = ("tenant", "began", "request_id", "sign", "reason")
_EXPORT_PLACE = "{p0:String}, fromUnixTimestamp64Milli({p1:Int64}, 'UTC'), {p2:String}, {p3:Int64}, {p4:String}"


@dataclass(slots=True)
class Query:
    """SQL with the parameters that are bound in it."""

    sql: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def bound(self, kind: str, value: Any) -> str:
        """The place of `value` in the SQL; ClickHouse reads it as a `kind`."""
        name = f"v{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"


def sums_query(question: Sums, place: Sequence[Any] | None, now_s: int) -> Query:
    """One row more than `limit`: start_s, the group's values, SUMS. `place` is how the last that was told began."""
    query = Query()
    table, until_s = _source(question, now_s)
    since_s = question.since_s
    if place is not None:
        since_s = min(max(since_s, place[0]), until_s)  # what comes before was told
    where = _where(query, question, since_s, until_s)
    if table != REQUESTS:
        where.append("mark = 0")
    groups = [_start(query, question), *(_DIMENSIONS[dimension] for dimension in question.by)]
    names = [f"g{index}" for index in range(len(groups))]
    sums = [f"sum({SUM_COLUMNS[name][1] if table == REQUESTS else name})" for name in SUMS]
    having = [f"({' OR '.join(f'{total} != 0' for total in sums)})"]
    if place is not None:
        kinds = ("Int64", *("String" for _ in question.by))
        values = [query.bound(kind, value) for kind, value in zip(kinds, place, strict=True)]
        having.append(f"({', '.join(names)}) > ({', '.join(values)})")
    query.sql = (  # of names in this file and the schema's
        f"SELECT {', '.join(f'{group} AS {name}' for group, name in zip(groups, names, strict=True))}, "
        f"{', '.join(sums)} FROM {table} WHERE {' AND '.join(where)} "
        f"GROUP BY {', '.join(names)} HAVING {' AND '.join(having)} ORDER BY {', '.join(names)} "
        f"LIMIT {query.bound('UInt32', question.limit + 1)}"
    )
    return query


def export_query(question: Export, place: Sequence[Any] | None, rows: int) -> Query:
    """At most `rows` rows of EXPORTED. `place` is the export_place of the last row that was told."""
    query = Query()
    where = _where(query, question, question.since_s, question.until_s)
    if place is not None:
        query.parameters |= {f"p{index}": value for index, value in enumerate(place)}
        where.append(f"({', '.join(_EXPORT_ORDER)}) > ({_EXPORT_PLACE})")
        where.append("tenant >= {p0:String}")  # which the index knows
        if question.tenant is not None:
            where.append("began >= fromUnixTimestamp64Milli({p1:Int64}, 'UTC')")
    query.sql = (  # of names in this file and the schema's
        f"SELECT {', '.join(EXPORTED)} FROM {REQUESTS} WHERE {' AND '.join(where)} "
        f"ORDER BY {', '.join(_EXPORT_ORDER)} LIMIT {query.bound('UInt32', rows)}"
    )
    return query


def export_place(row: ExportedRow) -> list[int | str]:
    """Where the rows after this one begin."""
    return [row.tenant, row.began_ms, row.request_id, row.sign, row.reason]


def _source(question: Sums, now_s: int) -> tuple[str, int]:
    """The smallest table that knows the answer, and until when to ask it.

    Nothing has begun after now: a question that ends later may as well end with the day.
    """
    until_s = question.until_s
    if until_s >= now_s:
        until_s += -until_s % _DAY_S
    for seconds, table in _ROLLUPS:
        is_whole = question.since_s % seconds == 0 == until_s % seconds
        is_fine = question.width is None or _WIDTH_S[question.width] >= seconds
        if is_whole and is_fine and (now_s - question.since_s < ROLLUP_DAYS[table] * _DAY_S or table != BY_MINUTE):
            return table, until_s
    return REQUESTS, question.until_s


def _start(query: Query, question: Sums) -> str:
    if question.width is None:
        return query.bound("Int64", question.since_s)
    if question.width == "month":
        return "toInt64(toUnixTimestamp(toDateTime(toStartOfMonth(began, 'UTC'), 'UTC')))"
    seconds = _WIDTH_S[question.width]
    return f"intDiv(toInt64(toUnixTimestamp(began)), {seconds}) * {seconds}"


def _where(query: Query, question: Question, since_s: int, until_s: int) -> list[str]:
    found = []
    if question.tenant is not None:
        found.append(f"tenant = {query.bound('String', question.tenant)}")
    found.append(f"began >= toDateTime({query.bound('UInt32', since_s)}, 'UTC')")
    found.append(f"began < toDateTime({query.bound('UInt32', until_s)}, 'UTC')")
    for dimension, values in question.where.items():
        found.append(f"{_DIMENSIONS[dimension]} IN {query.bound('Array(String)', list(values))}")
    return found
