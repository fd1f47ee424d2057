"""The metrics of adapters on engines, counted by the part `engines`; promotions by control, and by workers requests
that wait for one.

As in headgate/metrics.py, which says how processes count.
"""

from prometheus_client import Counter, Gauge, Histogram

import headgate.metrics  # noqa: F401 - it sets how; before anything here is made

ADAPTER_LOAD = Histogram(
    "headgate_adapter_load_seconds",
    "Time to load an adapter on one replica, with what it takes to fetch and verify its files.",
    ("engine",),
    registry=None,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
ADAPTER_FAILURES = Counter(
    "headgate_adapter_failures",
    "Times that an adapter could not be loaded, unloaded or answered by on one replica, by why.",
    ("engine", "reason"),
    registry=None,
)
ADAPTER_UNLOADS = Counter(
    "headgate_adapter_unloads",
    "Adapters that were unloaded from one replica: wanted no more (unwanted), or for another one's place (evicted).",
    ("engine", "why"),
    registry=None,
)
ADAPTERS_STAGED = Counter(
    "headgate_adapter_stagings",
    "Versions that all replicas were to have, by what became of it: staged, failed.",
    ("outcome",),
    registry=None,
)
ADAPTER_PROMOTIONS = Gauge(
    "headgate_adapter_promotions_waiting",
    "Promotions that wait for the engines of a host; none: no engine of their base model is anywhere.",
    ("host",),
    registry=None,
    multiprocess_mode="livemax",
)
ADAPTER_EVICTIONS = Counter(
    "headgate_adapter_evictions",
    "Versions that had to give their place on an engine to another one, by to what: demand, promotion, places.",
    ("engine", "why"),
    registry=None,
)
ADAPTER_DEMANDS = Counter(
    "headgate_adapter_demand_loads",
    "Live versions that got a place on an engine because a request for them came.",
    ("engine",),
    registry=None,
)
ADAPTER_WAITS = Counter(
    "headgate_adapter_waits",
    "Requests whose adapter no replica had, by what became of them: loaded, timeout, full, left.",
    ("outcome",),
    registry=None,
)
ADAPTER_WAIT = Histogram(
    "headgate_adapter_wait_seconds",
    "How long requests waited for their adapter, those that it did not come for among them.",
    registry=None,
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0),
)
