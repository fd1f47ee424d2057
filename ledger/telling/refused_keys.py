"""Keys out of several that their provider refuses: each rests as a whole, longer every time, until it is renewed.

Only one of several: of a provider's only key nothing else would be left. Knows keys' names and files, and never what
is in those.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from headgate import metrics
from headgate.contract import SECRETS
from headgate.feed.publisher import Publisher
from headgate.feed.rests import MOST_RESTS
from headgate.feed.states import EVERY_MODEL
from headgate.key_files import key_file
from headgate.metric_names import KEYS_CAP, PROVIDERS_CAP, Names
from ledger.spool.attempts import Attempt, ended_at
from ledger.spool.lines import Line

FIRST_REST_S = 30.0
LONGEST_REST_S = 600.0
FORGET_S = 1200.0  # after its rest a key that is not refused again is as good as one that never was
READ_WITHIN_S = 2.0  # Envoy's script looks at the file once a second

log = structlog.get_logger()


@dataclass(slots=True)
class _Refused:
    """`times` in a row; `until` is the end of its rest, by the wall clock as files' times are."""

    provider: str | None
    key: str | None
    times: int
    since: float
    until: float


class RefusedKeys:
    """An observer of both files; `look` at keys' files every second or so. `clock` is the wall's."""

    def __init__(self, publisher: Publisher, clock: Callable[[], float] = time.time, folder: Path = SECRETS) -> None:
        self._publisher = publisher
        self._clock = clock
        self._folder = folder
        self._started = clock()
        self._has_looked = False
        self._known: dict[str, _Refused] = {}
        self._providers, self._keys = Names(PROVIDERS_CAP), Names(KEYS_CAP)

    def on_attempt(self, attempt: Attempt) -> None:
        """Rest the key that was refused, once for all attempts that were under way with it."""
        cluster, at = attempt.cluster, ended_at(attempt)
        if attempt.retry != "key" or not cluster or at is None:
            return
        known = self._known.get(cluster)
        if (known and at < known.until) or self._renewed_at(cluster) > at - _lasted_s(attempt) - READ_WITHIN_S:
            return
        times = known.times + 1 if known else 1
        rest_s = min(FIRST_REST_S * 2 ** (times - 1), LONGEST_REST_S)
        left_s = at + rest_s - self._clock()
        if left_s <= 0 or (known is None and len(self._known) >= MOST_RESTS):
            return
        self._known[cluster] = _Refused(attempt.target, attempt.provider_key, times, at, at + rest_s)
        self._publisher.rest(cluster, EVERY_MODEL, left_s)
        names = self._providers.label(attempt.target), self._keys.label(attempt.provider_key)
        metrics.KEY_REFUSALS.labels(*names).inc()
        log.warning(
            "a provider refuses a key: it rests",
            provider=attempt.target,
            key_name=attempt.provider_key,
            status=attempt.status,
            rest_s=round(rest_s),
        )

    def on_line(self, line: Line) -> None:
        """A key that works after its rest has no past."""
        if not self._known or line.type != "end" or not line.provider_key or not 200 <= (line.status or 0) < 300:
            return
        now, one = self._clock(), (line.target, line.provider_key)
        for cluster, refused in list(self._known.items()):
            if (refused.provider, refused.key) == one and refused.until <= now:
                del self._known[cluster]

    def look(self) -> None:
        """End the rests of keys whose files are new."""
        now = self._clock()
        for cluster, refused in list(self._known.items()):
            if self._renewed_at(cluster) > refused.since:
                log.info("a refused key was renewed", provider=refused.provider, key_name=refused.key)
                self._forget(cluster)
            elif now > refused.until + FORGET_S:
                del self._known[cluster]
        others = self._publisher.refused_keys
        if not self._has_looked and others is not None:
            self._has_looked = True
            # With the gateway its keys are new: of those that others refused before, this one knows nothing yet.
            for cluster in others - self._known.keys():
                if self._renewed_at(cluster) > self._started - FIRST_REST_S:
                    self._forget(cluster)

    def _forget(self, cluster: str) -> None:
        self._known.pop(cluster, None)
        self._publisher.end_rest(cluster, EVERY_MODEL)

    def _renewed_at(self, cluster: str) -> float:
        try:
            return (self._folder / key_file(cluster)).stat().st_mtime
        except (OSError, ValueError):  # of another gateway; or no cluster of ours
            return 0.0


def _lasted_s(attempt: Attempt) -> float:
    return (attempt.duration_ms or 0) / 1000
