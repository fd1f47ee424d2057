"""When a refusal is worth another look: what running requests hold may come back any moment.

The end of a request reaches the counters some 30 ms after its last byte (Envoy's flush, the ledger's way). Whoever
asks in between would be refused for what is free already. So it waits a little, and asks again; only so many do at a
time.
"""

from collections import Counter

from headgate.counters.reservation import Refused

PAUSES_S = (0.015, 0.03, 0.05, 0.1)  # the last one for busy machines; far below Envoy's patience with the limiter
MOST = 256
MOST_PER_TENANT = 128
_ANY_MOMENT_MS = 1000  # as reserve.lua says it


def may_come_back(refused: Refused | None) -> bool:
    """Whether the end of a running request may be all that is missing."""
    return (
        refused is not None
        and refused.limit.kind.dimension != "requests"  # they are not given back: their wait is known
        and 0 < refused.wait_ms <= _ANY_MOMENT_MS
    )


class Places:
    """How many of a process's requests wait."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._all = 0

    def take(self, tenant: str) -> bool:
        """One more, unless there are too many; `leave` is its end."""
        if self._all >= MOST or self._waiting[tenant] >= MOST_PER_TENANT:
            return False
        self._waiting[tenant] += 1
        self._all += 1
        return True

    def leave(self, tenant: str) -> None:
        """It waits no more."""
        self._all -= 1
        self._waiting[tenant] -= 1
        if not self._waiting[tenant]:
            del self._waiting[tenant]
