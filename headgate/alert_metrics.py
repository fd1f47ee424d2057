"""The metrics of soft limits that were crossed, counted by the ledger.

As in headgate/metrics.py, which says how processes count.
"""

from prometheus_client import Counter, Gauge

import headgate.metrics  # noqa: F401 - it sets how; before anything here is made

SOFT_LIMITS = Counter(
    "headgate_soft_limits_exceeded",
    "Soft limits that were crossed, once per window; limit is its kind.",
    ("tenant", "limit"),
    registry=None,
)
WEBHOOKS = Counter(
    "headgate_alert_webhooks",
    "Webhooks of soft limits: delivered, failed attempts, given_up after a day, dropped because too many waited.",
    ("outcome",),
    registry=None,
)
WEBHOOKS_WAITING = Gauge(
    "headgate_alert_webhooks_waiting",
    "Webhooks of soft limits that were not delivered yet.",
    registry=None,
    multiprocess_mode="livesum",
)
