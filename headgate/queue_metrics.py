"""The metrics of queues in front of engines, counted by the workers that hold what waits, and by the ledger.

As in headgate/metrics.py, which says how processes count.
"""

from prometheus_client import Counter, Gauge, Histogram

from headgate.metrics import LATENCY_BUCKETS  # that module sets how, before anything here is made

QUEUE_REQUESTS = Counter(
    "headgate_engine_queue_requests",
    "Requests for an engine with a queue, by what became of them there.",
    ("tenant", "model", "outcome"),
    registry=None,
)
QUEUE_WAITING = Gauge(
    "headgate_engine_queue_waiting",
    "Requests that wait for a slot of an engine now.",
    ("tenant", "model"),
    registry=None,
    multiprocess_mode="livesum",
)
QUEUE_WAIT = Histogram(
    "headgate_engine_queue_wait_seconds",
    "How long requests waited for a slot of an engine, those that got none among them.",
    ("model",),
    registry=None,
    buckets=LATENCY_BUCKETS,
)
QUEUE_WAITED = Counter(
    "headgate_engine_queue_waited_seconds",
    "The same, added up, for each tenant.",
    ("tenant", "model"),
    registry=None,
)
SLOTS_LEFT = Counter(
    "headgate_engine_slots_left",
    "Slots that nobody gave back, so that they end with their lease: the counters were away for too long.",
    ("engine",),
    registry=None,
)
QUEUE_PREDICTION = Histogram(
    "headgate_engine_queue_prediction_ratio",
    "How long requests waited until they had a slot, by how long it was predicted when they began to: 1 is right.",
    ("model",),
    registry=None,
    buckets=(0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 4.0),
)
