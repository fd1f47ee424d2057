"""The store's tables as they are now, the same on chdb and on a ClickHouse: names and columns. Runs no statement.

`requests` has a row per Row of ledger/rows.py, and is the truth; the rollups are made of it by materialized views,
which hang on `rolling` (a table that keeps nothing) so that the writer says when. A rollup's rows with a `mark` are
no usage: they say which batches are in it, and whoever sums asks `WHERE mark = 0`.
"""

DATABASE = "headgate"

REQUESTS = "requests"
ROLLING = "rolling"
GATEWAYS = "gateways"  # how far each has stored: ledger/store/marks.py
BY_MINUTE, BY_HOUR, BY_DAY = "usage_by_minute", "usage_by_hour", "usage_by_day"
ROLLUPS = {BY_MINUTE: "toStartOfMinute", BY_HOUR: "toStartOfHour", BY_DAY: "toStartOfDay"}  # and what makes `began`

KEPT_DAYS = 400  # of requests whose tenant has no retention of its own
ROLLUP_DAYS = {BY_MINUTE: 92, BY_HOUR: 800, BY_DAY: 4000}

# In the order of Row's fields; began, ended and kept_until are DateTimes made of Row's numbers.
REQUEST_COLUMNS = {
    "request_id": "String CODEC(ZSTD(1))",
    "sign": "Int8",
    "ended": "DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))",
    "began": "DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))",
    "tenant": "LowCardinality(String)",
    "key_id": "LowCardinality(String)",
    "user": "String CODEC(ZSTD(1))",
    "project": "LowCardinality(String)",
    "surface": "LowCardinality(String)",
    "model": "LowCardinality(String)",
    "provider": "LowCardinality(String)",
    "upstream_model": "LowCardinality(String)",
    "provider_key": "LowCardinality(String)",
    "variant": "LowCardinality(String)",
    "status": "UInt16",
    "flags": "LowCardinality(String)",
    "attempts": "UInt16",
    "streamed": "Bool",
    "requests": "UInt8",
    "prompt_tokens": "Int64 CODEC(T64, ZSTD(1))",
    "cached_tokens": "Int64 CODEC(T64, ZSTD(1))",
    "cache_write_tokens": "Int64 CODEC(T64, ZSTD(1))",
    "completion_tokens": "Int64 CODEC(T64, ZSTD(1))",
    "reasoning_tokens": "Int64 CODEC(T64, ZSTD(1))",
    "unit": "LowCardinality(String)",
    "units": "Int64 CODEC(T64, ZSTD(1))",
    "estimated": "Bool",
    "reason": "LowCardinality(String)",
    "price_nano": "Int64 CODEC(T64, ZSTD(1))",
    "cost": "Nullable(Decimal(38, 18)) CODEC(ZSTD(1))",
    "bytes_in": "Int64 CODEC(T64, ZSTD(1))",
    "bytes_out": "Int64 CODEC(T64, ZSTD(1))",
    "content_events": "Int64 CODEC(T64, ZSTD(1))",
    "first_byte_ms": "Nullable(Int64) CODEC(T64, ZSTD(1))",
    "first_token_ms": "Nullable(Int64) CODEC(T64, ZSTD(1))",
    "duration_ms": "Int64 CODEC(T64, ZSTD(1))",
    "trace_id": "String CODEC(ZSTD(1))",
    "price_generation": "Int64 CODEC(T64, ZSTD(1))",
    "kept_until": "DateTime('UTC') CODEC(ZSTD(1))",
    "gateway": "LowCardinality(String)",  # whose writer: the id of its state directory
    "batch": "UInt64 CODEC(ZSTD(1))",  # with which insert of that gateway: Unix milliseconds << 20, and a count
}

GROUP_COLUMNS = {
    "tenant": "LowCardinality(String)",
    "began": "DateTime('UTC')",
    "model": "LowCardinality(String)",
    "provider": "LowCardinality(String)",
    "upstream_model": "LowCardinality(String)",
    "key_id": "LowCardinality(String)",
    "user": "String",
    "project": "LowCardinality(String)",
    "surface": "LowCardinality(String)",
    "unit": "LowCardinality(String)",
    "estimated": "Bool",
    "variant": "LowCardinality(String)",
    "mark": "UInt64",  # a batch that is in here; 0: usage
}

# Each with what it is the sum of, over `requests`; sign takes back what was charged before.
SUM_COLUMNS = {
    "rows": ("Int64", "toInt64(sign)"),  # with those that count as no request: never 0 where there is something
    "requests": ("Int64", "toInt64(sign) * requests"),
    "prompt_tokens": ("Int64", "sign * prompt_tokens"),
    "cached_tokens": ("Int64", "sign * cached_tokens"),
    "cache_write_tokens": ("Int64", "sign * cache_write_tokens"),
    "completion_tokens": ("Int64", "sign * completion_tokens"),
    "reasoning_tokens": ("Int64", "sign * reasoning_tokens"),
    "units": ("Int64", "sign * units"),
    "estimated_requests": ("Int64", "toInt64(sign) * requests * estimated"),
    "price_nano": ("Int64", "sign * price_nano"),
    "cost": ("Decimal(38, 18)", "sign * ifNull(cost, 0)"),
    "costed": ("Int64", "toInt64(sign) * isNotNull(cost)"),  # rows whose cost is known: 0 of them is no cost of 0
}

# What `rolling` takes of a request, beside `mark` and `only`.
ROLLED_COLUMNS = (
    "tenant",
    "began",
    "model",
    "provider",
    "upstream_model",
    "key_id",
    "user",
    "project",
    "surface",
    "unit",
    "estimated",
    "variant",
    "sign",
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "units",
    "price_nano",
    "cost",
)
