"""The feed's writer: tells this gateway's workers everything, at once when something changes and every second.

While the counters are away nothing is told; rests wait here meanwhile, and end here too.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import hiredis
import structlog

from headgate import metrics
from headgate.counters.client import Counters, Unavailable
from headgate.feed import messages, rests
from headgate.feed.allowances import Left
from headgate.feed.factors import ByModel
from headgate.feed.figures import Known, Mean, TimeOf
from headgate.feed.states import EVERY_MODEL, Rest, State, is_endpoint
from headgate.ticks import until_next

HEARTBEAT_S = 1.0
FIGURES_AGAIN_S = 2.0  # those that have not changed, load apart
_FIGURES_DUE_S = FIGURES_AGAIN_S - HEARTBEAT_S / 2  # so with every second heartbeat
LONGEST_REST_S = 600.0
LEFT_EVERY_S = 0.1  # at most: what providers say is left, where it has changed

log = structlog.get_logger()


class Publisher:
    """`take_health`, `take_factors` and `rest` only take note; `run` tells."""

    def __init__(self, counters: Counters, gateway: str) -> None:
        self._counters = counters
        self._gateway = gateway
        self._channel = messages.gateway_channel(gateway)
        self._health: dict[str, State] = {}
        self._factors: ByModel = {}
        self._figures = self._told_figures = Known()
        self._figures_at = 0.0
        self._looked = asyncio.Event()
        self._new: dict[tuple[str, str], float] = {}  # rests that the counters don't know yet, by their end
        self._ended: set[tuple[str, str]] = set()  # rests whose end the counters don't know yet
        self.refused_keys: frozenset[str] | None = None  # clusters, of all gateways; None until the counters said so
        self._left: Callable[[], list[Left]] = list
        self._left_changed = asyncio.Event()
        self._changed = asyncio.Event()
        self._refused: str | None = None
        self._count_health()

    def take_health(self, health: Mapping[str, State]) -> None:
        """The clusters that are not good; all others are."""
        if health != self._health:
            _log_changes(self._health, health)
            self._health = dict(health)
            self._count_health()
            self._changed.set()

    def take_factors(self, factors: ByModel) -> None:
        """What counts of prompts are multiplied with; all others are 1."""
        if factors != self._factors:
            self._factors = dict(factors)
            self._changed.set()

    def take_figures(self, times: Mapping[TimeOf, Mean], answers: Mapping[str, Mean]) -> None:
        """How fast targets are and how long answers; told with the next heartbeat."""
        self._figures = Known(times, self._figures.load, answers)

    def take_load(self, load: Mapping[str, int] | None) -> None:
        """Attempts under way by cluster; None when nobody asks for them, or nobody knows.

        Told at once, the same as before too: what workers have chosen since is in it.
        """
        if load is not None or self._figures.load is not None:
            self._figures = Known(self._figures.times, load, self._figures.answers)
            self._looked.set()

    def take_left(self, news: Callable[[], list[Left]]) -> None:
        """There is something new of what providers say is left, and whoever tells it asks for it."""
        self._left = news
        self._left_changed.set()

    def rest(self, cluster: str, model: str, for_s: float) -> None:
        """A provider wants to be left alone with this model."""
        target, until = (cluster, model), time.monotonic() + min(for_s, LONGEST_REST_S)
        if len(self._new) < rests.MOST_RESTS or target in self._new:
            self._new[target] = max(until, self._new.get(target, 0.0))
            self._ended.discard(target)
            self._changed.set()

    def end_rest(self, cluster: str, model: str) -> None:
        """What it was for has gone."""
        target = cluster, model
        self._new.pop(target, None)
        self._ended.add(target)
        self._changed.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        await asyncio.gather(
            self._keep(self._tell, self._changed),
            self._keep(self._tell_figures, self._looked),
            self._keep(self._tell_left, self._left_changed),
        )

    async def _keep(self, tell: Callable[[], Awaitable[None]], news: asyncio.Event) -> None:
        while True:
            news.clear()
            try:
                await tell()
            except Unavailable:  # the counters' client has said so; they are tried again with the next heartbeat
                pass
            except Exception:  # a bug of ours must not leave the workers without the feed for good
                log.exception("feed: failed to tell")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_next(HEARTBEAT_S)):
                    await news.wait()

    async def _tell(self) -> None:
        now = time.monotonic()
        self._new = {target: until for target, until in self._new.items() if until > now}
        noting = dict(self._new)
        new = [Rest(*target, until - now) for target, until in noting.items()]
        ended = frozenset(self._ended)
        try:
            running = await rests.note(self._counters, new, ended)
        except Unavailable:  # of a cluster's nodes the one that has them: the others can be told all the same
            running = tuple(new)
        else:
            self._ended -= ended
            self.refused_keys = frozenset(rest.cluster for rest in running if rest.model == EVERY_MODEL)
            metrics.FEED_REFUSED_KEYS.set(len(self.refused_keys))
            for target, until in noting.items():
                if self._new.get(target) == until:
                    del self._new[target]
        whole = messages.whole(self._gateway, self._health, running, self._factors)
        metrics.FEED_RESTS.set(len(running))
        if await self._publish(self._channel, whole):
            metrics.FEED_SENT.set(time.time())
        if new:  # the other gateways' workers, too, and now
            await self._publish(messages.RESTS_CHANNEL, messages.rests_alone(new))

    async def _tell_figures(self) -> None:
        """To the workers of all gateways; nothing where no model's strategy needs any."""
        figures, now = self._figures, time.monotonic()
        again = figures.load is not None or (figures != Known() and now - self._figures_at >= _FIGURES_DUE_S)
        if figures == self._told_figures and not again:
            return
        if await self._publish(messages.FIGURES_CHANNEL, messages.figures_alone(self._gateway, figures)):
            self._told_figures, self._figures_at = figures, now
            for what, some in (("times", figures.times), ("load", figures.load), ("answers", figures.answers)):
                metrics.FEED_FIGURES.labels(what).set(len(some or ()))

    async def _tell_left(self) -> None:
        """To the workers of all gateways: it is one account."""
        if some := self._left():
            await self._publish(messages.FIGURES_CHANNEL, messages.left_alone(some))
            await asyncio.sleep(LEFT_EVERY_S)

    async def _publish(self, channel: str, message: str) -> bool:
        """False when the server is well and refuses it, as to a user who may not publish."""
        reply = await self._counters.publish(channel, message)
        refused = str(reply).partition(" ")[0] if isinstance(reply, hiredis.ReplyError) else None
        if refused != self._refused:
            self._refused = refused
            if refused:
                log.error("feed: the counters refuse to publish", channel=channel, reason=refused)
        return refused is None

    def _count_health(self) -> None:
        counts = Counter(state for name, state in self._health.items() if not is_endpoint(name))
        for state in (State.SATURATED, State.EJECTED, State.UNHEALTHY, State.UNRESOLVED):
            metrics.FEED_CLUSTERS.labels(state.name.lower()).set(counts[state])


def _log_changes(before: Mapping[str, State], after: Mapping[str, State]) -> None:
    for cluster in before.keys() | after.keys():
        was, now = before.get(cluster, State.OK), after.get(cluster, State.OK)
        # A breaker opens and closes many times a second on a busy day: that is for the metrics.
        if was is not now and {was, now} != {State.OK, State.SATURATED}:
            log.info("target changed", cluster=cluster, was=was.name.lower(), now=now.name.lower())
