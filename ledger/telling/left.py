"""What providers say is left of their limits: learned from the spool's lines, told to all workers, and shown."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace

from headgate import metrics
from headgate.feed.allowances import Left
from headgate.feed.publisher import Publisher
from headgate.metric_names import MODELS_CAP, PROVIDERS_CAP, Names
from ledger.spool.lines import Line
from ledger.telling.provider_left import Junk, left_of

AGAIN_S = 2.0  # all of it, for workers that have just begun
MOST = 500  # limits of models at providers
_LONGEST_MS = 86_400_000

_Name = tuple[str, str, str]


class LeftLearner:
    """An observer of lines. `clock` is monotonic, `now` Unix time; both in seconds."""

    def __init__(
        self,
        publisher: Publisher,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._now = now
        self._known: dict[_Name, tuple[float, Left]] = {}  # and when it was learned
        self._new: set[_Name] = set()
        self._all_told = clock()
        self._providers, self._models = Names(PROVIDERS_CAP), Names(MODELS_CAP)

    def on_line(self, line: Line) -> None:
        """An answer that has begun or ended."""
        if not line.provider_left:
            return
        at = _began(line)
        if at is None:
            return
        age_s = max(self._now() - at.timestamp(), 0.0)
        for one in left_of(line.provider_left, at, age_s):
            if isinstance(one, Junk):
                metrics.LEFT_JUNK.labels(self._providers.label(line.target)).inc()
            else:
                self._take(line, one)
        if self._new:
            self._publisher.take_left(self.news)

    def news(self) -> list[Left]:
        """What is new since it was asked for last; all of it now and then. Aged until now."""
        now = self._clock()
        again = now - self._all_told >= AGAIN_S
        if again:
            self._all_told = now
            self._known = {name: known for name, known in self._known.items() if _left_s(known, now) > 0}
        names, self._new = (set(self._known) if again else self._new), set()
        return [_aged(*self._known[name], now) for name in names if name in self._known]

    def _take(self, line: Line, one: Left) -> None:
        name, now = (one.cluster, one.model, one.kind), self._clock()
        known = self._known.get(name)
        if known and now - known[0] + known[1].age_s <= one.age_s:
            return  # an older answer, whose line came later
        if known is None and len(self._known) >= MOST:
            return
        self._known[name] = now, one
        self._new.add(name)
        labels = (
            self._providers.label(line.target),
            self._providers.label(line.provider_key),
            self._models.label(line.upstream_model),
            one.kind,
        )
        metrics.PROVIDER_LEFT.labels(*labels).set(one.left)
        if one.limit is not None:
            metrics.PROVIDER_LIMIT.labels(*labels).set(one.limit)


def _began(line: Line) -> dt.datetime | None:
    """When the provider got the request: about then it counted what is left."""
    try:
        made = dt.datetime.fromisoformat(line.time or "")
    except ValueError:
        return None
    if made.tzinfo is None:
        return None
    lasted_ms = min(max((line.duration_ms or 0) - (line.request_ms or 0), 0), _LONGEST_MS)
    return made - dt.timedelta(milliseconds=lasted_ms)


def _left_s(known: tuple[float, Left], now: float) -> float:
    learned, one = known
    return one.resets_in_s - (now - learned)


def _aged(learned: float, one: Left, now: float) -> Left:
    since = now - learned
    return replace(one, resets_in_s=max(one.resets_in_s - since, 0.0), age_s=one.age_s + since)
