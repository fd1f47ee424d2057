-- What ledger/store/schema.py describes. A part is on the disk (fsync) before its insert has an answer: then the journal
-- may forget its rows. A mark is 2^63 or more where it is of an erasure; else Unix milliseconds << 20, and kept for 30
-- days. `rolling` keeps nothing: what is put there goes through the views, into one rollup where `only` names it. An insert
-- that nobody waits for any more, in a server that hung, comes too late: `in_time`.

CREATE TABLE IF NOT EXISTS requests (
    request_id String CODEC(ZSTD(1)),
    sign Int8,
    ended_ms Int64 EPHEMERAL,
    ended DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(ended_ms, 'UTC') CODEC(Delta, ZSTD(1)),
    began_ms Int64 EPHEMERAL,
    began DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(began_ms, 'UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    key_id LowCardinality(String),
    user String CODEC(ZSTD(1)),
    project LowCardinality(String),
    surface LowCardinality(String),
    model LowCardinality(String),
    provider LowCardinality(String),
    upstream_model LowCardinality(String),
    provider_key LowCardinality(String),
    variant LowCardinality(String),
    status UInt16,
    flags LowCardinality(String),
    attempts UInt16,
    streamed Bool,
    requests UInt8,
    prompt_tokens Int64 CODEC(T64, ZSTD(1)),
    cached_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_tokens Int64 CODEC(T64, ZSTD(1)),
    completion_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    unit LowCardinality(String),
    units Int64 CODEC(T64, ZSTD(1)),
    estimated Bool,
    reason LowCardinality(String),
    price_nano Int64 CODEC(T64, ZSTD(1)),
    cost Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    bytes_in Int64 CODEC(T64, ZSTD(1)),
    bytes_out Int64 CODEC(T64, ZSTD(1)),
    content_events Int64 CODEC(T64, ZSTD(1)),
    first_byte_ms Nullable(Int64) CODEC(T64, ZSTD(1)),
    first_token_ms Nullable(Int64) CODEC(T64, ZSTD(1)),
    duration_ms Int64 CODEC(T64, ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    price_generation Int64 CODEC(T64, ZSTD(1)),
    kept_until_s Int64 EPHEMERAL,
    kept_until DateTime('UTC') DEFAULT if(kept_until_s = 0, began + INTERVAL 400 DAY, fromUnixTimestamp(least(kept_until_s, 4294967295))) CODEC(ZSTD(1)),
    gateway LowCardinality(String),
    batch UInt64 CODEC(ZSTD(1)),
    INDEX by_batch batch TYPE minmax GRANULARITY 1,
    CONSTRAINT in_time CHECK toUnixTimestamp64Milli(now64(3)) < bitShiftRight(batch, 20) + 15000
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(began)
ORDER BY (tenant, began, request_id)
TTL kept_until
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS rolling (
    sign Int8,
    began DateTime64(3, 'UTC'),
    tenant LowCardinality(String),
    key_id LowCardinality(String),
    user String,
    project LowCardinality(String),
    surface LowCardinality(String),
    model LowCardinality(String),
    provider LowCardinality(String),
    upstream_model LowCardinality(String),
    variant LowCardinality(String),
    requests UInt8,
    prompt_tokens Int64,
    cached_tokens Int64,
    cache_write_tokens Int64,
    completion_tokens Int64,
    reasoning_tokens Int64,
    unit LowCardinality(String),
    units Int64,
    estimated Bool,
    price_nano Int64,
    cost Nullable(Decimal(38, 18)),
    mark UInt64,
    only LowCardinality(String),
    asked_ms Int64,
    CONSTRAINT in_time CHECK toUnixTimestamp64Milli(now64(3)) < asked_ms + 15000
)
ENGINE = Null;

CREATE TABLE IF NOT EXISTS usage_by_minute (
    tenant LowCardinality(String),
    began DateTime('UTC'),
    model LowCardinality(String),
    provider LowCardinality(String),
    upstream_model LowCardinality(String),
    key_id LowCardinality(String),
    user String,
    project LowCardinality(String),
    surface LowCardinality(String),
    unit LowCardinality(String),
    estimated Bool,
    variant LowCardinality(String),
    mark UInt64,
    rows Int64 CODEC(T64, ZSTD(1)),
    requests Int64 CODEC(T64, ZSTD(1)),
    prompt_tokens Int64 CODEC(T64, ZSTD(1)),
    cached_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_tokens Int64 CODEC(T64, ZSTD(1)),
    completion_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    units Int64 CODEC(T64, ZSTD(1)),
    estimated_requests Int64 CODEC(T64, ZSTD(1)),
    price_nano Int64 CODEC(T64, ZSTD(1)),
    cost Decimal(38, 18),
    costed Int64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree((rows, requests, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, units, estimated_requests, price_nano, cost, costed))
PARTITION BY toYYYYMM(began)
PRIMARY KEY (tenant, began)
ORDER BY (tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark)
TTL
    began + INTERVAL 92 DAY DELETE WHERE mark = 0,
    fromUnixTimestamp(intDiv(bitShiftRight(mark, 20), 1000)) + INTERVAL 30 DAY DELETE WHERE mark != 0 AND mark < 9223372036854775808
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS usage_by_hour (
    tenant LowCardinality(String),
    began DateTime('UTC'),
    model LowCardinality(String),
    provider LowCardinality(String),
    upstream_model LowCardinality(String),
    key_id LowCardinality(String),
    user String,
    project LowCardinality(String),
    surface LowCardinality(String),
    unit LowCardinality(String),
    estimated Bool,
    variant LowCardinality(String),
    mark UInt64,
    rows Int64 CODEC(T64, ZSTD(1)),
    requests Int64 CODEC(T64, ZSTD(1)),
    prompt_tokens Int64 CODEC(T64, ZSTD(1)),
    cached_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_tokens Int64 CODEC(T64, ZSTD(1)),
    completion_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    units Int64 CODEC(T64, ZSTD(1)),
    estimated_requests Int64 CODEC(T64, ZSTD(1)),
    price_nano Int64 CODEC(T64, ZSTD(1)),
    cost Decimal(38, 18),
    costed Int64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree((rows, requests, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, units, estimated_requests, price_nano, cost, costed))
PARTITION BY toYYYYMM(began)
PRIMARY KEY (tenant, began)
ORDER BY (tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark)
TTL
    began + INTERVAL 800 DAY DELETE WHERE mark = 0,
    fromUnixTimestamp(intDiv(bitShiftRight(mark, 20), 1000)) + INTERVAL 30 DAY DELETE WHERE mark != 0 AND mark < 9223372036854775808
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS usage_by_day (
    tenant LowCardinality(String),
    began DateTime('UTC'),
    model LowCardinality(String),
    provider LowCardinality(String),
    upstream_model LowCardinality(String),
    key_id LowCardinality(String),
    user String,
    project LowCardinality(String),
    surface LowCardinality(String),
    unit LowCardinality(String),
    estimated Bool,
    variant LowCardinality(String),
    mark UInt64,
    rows Int64 CODEC(T64, ZSTD(1)),
    requests Int64 CODEC(T64, ZSTD(1)),
    prompt_tokens Int64 CODEC(T64, ZSTD(1)),
    cached_tokens Int64 CODEC(T64, ZSTD(1)),
    cache_write_tokens Int64 CODEC(T64, ZSTD(1)),
    completion_tokens Int64 CODEC(T64, ZSTD(1)),
    reasoning_tokens Int64 CODEC(T64, ZSTD(1)),
    units Int64 CODEC(T64, ZSTD(1)),
    estimated_requests Int64 CODEC(T64, ZSTD(1)),
    price_nano Int64 CODEC(T64, ZSTD(1)),
    cost Decimal(38, 18),
    costed Int64 CODEC(T64, ZSTD(1))
)
ENGINE = SummingMergeTree((rows, requests, prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, units, estimated_requests, price_nano, cost, costed))
PARTITION BY toYYYYMM(began)
PRIMARY KEY (tenant, began)
ORDER BY (tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark)
TTL
    began + INTERVAL 4000 DAY DELETE WHERE mark = 0,
    fromUnixTimestamp(intDiv(bitShiftRight(mark, 20), 1000)) + INTERVAL 30 DAY DELETE WHERE mark != 0 AND mark < 9223372036854775808
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_by_minute_view TO usage_by_minute AS
SELECT
    r.tenant AS tenant,
    toStartOfMinute(r.began) AS began,
    r.model AS model,
    r.provider AS provider,
    r.upstream_model AS upstream_model,
    r.key_id AS key_id,
    r.user AS user,
    r.project AS project,
    r.surface AS surface,
    r.unit AS unit,
    r.estimated AS estimated,
    r.variant AS variant,
    r.mark AS mark,
    sum(toInt64(r.sign)) AS rows,
    sum(toInt64(r.sign) * r.requests) AS requests,
    sum(r.sign * r.prompt_tokens) AS prompt_tokens,
    sum(r.sign * r.cached_tokens) AS cached_tokens,
    sum(r.sign * r.cache_write_tokens) AS cache_write_tokens,
    sum(r.sign * r.completion_tokens) AS completion_tokens,
    sum(r.sign * r.reasoning_tokens) AS reasoning_tokens,
    sum(r.sign * r.units) AS units,
    sum(toInt64(r.sign) * r.requests * r.estimated) AS estimated_requests,
    sum(r.sign * r.price_nano) AS price_nano,
    sum(r.sign * ifNull(r.cost, 0)) AS cost,
    sum(toInt64(r.sign) * isNotNull(r.cost)) AS costed
FROM rolling AS r
WHERE r.only IN ('', 'usage_by_minute')
GROUP BY tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_by_hour_view TO usage_by_hour AS
SELECT
    r.tenant AS tenant,
    toStartOfHour(r.began) AS began,
    r.model AS model,
    r.provider AS provider,
    r.upstream_model AS upstream_model,
    r.key_id AS key_id,
    r.user AS user,
    r.project AS project,
    r.surface AS surface,
    r.unit AS unit,
    r.estimated AS estimated,
    r.variant AS variant,
    r.mark AS mark,
    sum(toInt64(r.sign)) AS rows,
    sum(toInt64(r.sign) * r.requests) AS requests,
    sum(r.sign * r.prompt_tokens) AS prompt_tokens,
    sum(r.sign * r.cached_tokens) AS cached_tokens,
    sum(r.sign * r.cache_write_tokens) AS cache_write_tokens,
    sum(r.sign * r.completion_tokens) AS completion_tokens,
    sum(r.sign * r.reasoning_tokens) AS reasoning_tokens,
    sum(r.sign * r.units) AS units,
    sum(toInt64(r.sign) * r.requests * r.estimated) AS estimated_requests,
    sum(r.sign * r.price_nano) AS price_nano,
    sum(r.sign * ifNull(r.cost, 0)) AS cost,
    sum(toInt64(r.sign) * isNotNull(r.cost)) AS costed
FROM rolling AS r
WHERE r.only IN ('', 'usage_by_hour')
GROUP BY tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_by_day_view TO usage_by_day AS
SELECT
    r.tenant AS tenant,
    toStartOfDay(r.began) AS began,
    r.model AS model,
    r.provider AS provider,
    r.upstream_model AS upstream_model,
    r.key_id AS key_id,
    r.user AS user,
    r.project AS project,
    r.surface AS surface,
    r.unit AS unit,
    r.estimated AS estimated,
    r.variant AS variant,
    r.mark AS mark,
    sum(toInt64(r.sign)) AS rows,
    sum(toInt64(r.sign) * r.requests) AS requests,
    sum(r.sign * r.prompt_tokens) AS prompt_tokens,
    sum(r.sign * r.cached_tokens) AS cached_tokens,
    sum(r.sign * r.cache_write_tokens) AS cache_write_tokens,
    sum(r.sign * r.completion_tokens) AS completion_tokens,
    sum(r.sign * r.reasoning_tokens) AS reasoning_tokens,
    sum(r.sign * r.units) AS units,
    sum(toInt64(r.sign) * r.requests * r.estimated) AS estimated_requests,
    sum(r.sign * r.price_nano) AS price_nano,
    sum(r.sign * ifNull(r.cost, 0)) AS cost,
    sum(toInt64(r.sign) * isNotNull(r.cost)) AS costed
FROM rolling AS r
WHERE r.only IN ('', 'usage_by_day')
GROUP BY tenant, began, model, provider, upstream_model, key_id, user, project, surface, unit, estimated, variant, mark;
