"""Made-up requests for bench/usage.py, by ClickHouse itself: chance is a hash of the row's number."""

# Of `first` to `first + count`, spread evenly from `since`, one each `step` (both ms). A user has one key and one
# project, and asks for six models, mostly for one; the biggest tenant has 500 users, every other one 20.
ROWS_SQL = """
INSERT INTO requests (
    request_id, sign, ended, began, tenant, key_id, user, project, surface, model, provider, upstream_model,
    provider_key, variant, status, flags, attempts, streamed, requests, prompt_tokens, cached_tokens,
    cache_write_tokens, completion_tokens, reasoning_tokens, unit, units, estimated, reason, price_nano, cost,
    bytes_in, bytes_out, content_events, first_byte_ms, first_token_ms, duration_ms, trace_id, price_generation,
    kept_until, gateway, batch
)
WITH
    cityHash64(n) AS chance,
    if(chance % 10 = 0, 0, 1 + intDiv(chance, 10) % 999) AS tenant_number,
    intDiv(chance, 10000000) % if(tenant_number = 0, 500, 20) AS user_number,
    [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5][1 + intDiv(chance, 1000000000) % 12] AS model_number,
    50 + cityHash64(n, 1) % 2000 AS input,
    if(model_number = 5, 0, 10 + cityHash64(n, 2) % 800) AS output,
    300 + cityHash64(n, 3) % 9000 AS took_ms,
    fromUnixTimestamp64Milli({since:Int64} + toInt64(n * {step:Float64}), 'UTC') AS at,
    toInt64(input * 150 + output * 600) AS nano
SELECT
    lower(concat(hex(cityHash64(n, 4)), hex(cityHash64(n, 5)))),
    1,
    at + toIntervalMillisecond(took_ms),
    at,
    concat('tenant-', toString(tenant_number)),
    concat('key_', lower(hex(cityHash64(tenant_number, user_number % 5)))),
    concat('user-', toString(tenant_number), '-', toString(user_number)),
    concat('project-', toString(user_number % 3)),
    if(model_number = 5, 'embeddings', 'chat'),
    concat('model-', toString(model_number)),
    concat('provider-', toString(model_number % 3)),
    concat('upstream-model-', toString(model_number)),
    '', '', 200, '', 1, model_number % 2 = 0, 1,
    input, if(chance % 3 = 0, intDiv(input, 2), 0), 0, output, 0, '', 0,
    chance % 100 = 7, '', nano, toDecimal128(nano, 18) / 1000000000,
    input * 4, output * 90, output, 300, 350, took_ms,
    lower(concat(hex(cityHash64(n, 6)), hex(cityHash64(n, 7)))),
    1, at + toIntervalDay(400), 'bench', {batch:UInt64}
FROM (SELECT number AS n FROM numbers({first:UInt64}, {count:UInt64}))
"""
