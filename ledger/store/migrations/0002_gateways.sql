-- What ledger/store/marks.py describes: a row for each gateway, run and month. What was stored before this version had
-- runs is in a run 0 of its gateway.

CREATE TABLE IF NOT EXISTS gateways (
    gateway String,
    run UInt64,
    month UInt32,
    batch SimpleAggregateFunction(max, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (gateway, run, month)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

INSERT INTO gateways (gateway, run, month, batch)
SELECT gateway, 0, toYYYYMM(began) AS began_in, max(batch) FROM requests GROUP BY gateway, began_in;
