"""The metrics of what becomes of usage once it is counted: the journal, Kafka's events, the usage store.

As in headgate/metrics.py, which says how processes count.
"""

from prometheus_client import Counter, Gauge, Histogram

import headgate.metrics  # noqa: F401 - it sets how; before anything here is made

# -- the journal, by the ledger --

JOURNAL_LAG = Gauge(
    "headgate_journal_lag_seconds",
    "Age of the oldest request whose row is not in the usage store yet.",
    registry=None,
    multiprocess_mode="livemax",
)

# -- events, by their part --

EVENTS = Counter("headgate_events", "Usage events that Kafka's brokers have taken.", registry=None)
EVENTS_FAILURES = Counter(
    "headgate_events_failures",
    "Times that usage events were given up by the Kafka client; they were tried again.",
    registry=None,
)
EVENTS_WAITING = Gauge(
    "headgate_events_waiting",
    "Rows of the journal that Kafka has not been told of yet.",
    registry=None,
    multiprocess_mode="livesum",
)
EVENTS_LAG = Gauge(
    "headgate_events_lag_seconds",
    "How long the oldest of them has waited; 0 where none waits.",
    registry=None,
    multiprocess_mode="livemax",
)

# -- the usage store, by its part --

USAGE_LAG = Gauge(
    "headgate_usage_lag_seconds",
    "How long the oldest request that the usage store has not got yet is over.",
    registry=None,
    multiprocess_mode="livemax",
)
USAGE_BACKLOG = Gauge(
    "headgate_usage_backlog_rows",
    "Rows of the journal that the usage store has not got yet.",
    registry=None,
    multiprocess_mode="livesum",
)
USAGE_STORED_ROWS = Counter(
    "headgate_usage_stored_rows",
    "Rows that were put into the usage store, by whether some of their counts are estimates.",
    ("estimated",),
    registry=None,
)
USAGE_REFUSED_ROWS = Counter(
    "headgate_usage_refused_rows",
    "Rows of a journal made anew that were left out: nobody can tell any more whether the usage store had them.",
    registry=None,
)
USAGE_KNOWN_ROWS = Counter(
    "headgate_usage_known_rows",
    "Rows that came again and were left out: the usage store had them already.",
    registry=None,
)
USAGE_STORE_ERRORS = Counter(
    "headgate_usage_store_errors",
    "Blocks that could not be put into the usage store, and are tried again, by what went wrong.",
    ("kind",),
    registry=None,
)
USAGE_INSERT = Histogram(
    "headgate_usage_insert_seconds",
    "How long it takes to put a block into the usage store, from asking what it knows to the rollups.",
    registry=None,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
