"""A worker's ear: listens on the counters, and tells `TargetStates`, `Factors`, `Figures`, `Allowances` and
`Replicas` what it hears.

While the counters are away nothing is heard, and what was heard of targets is soon forgotten.
"""

import time

import structlog

from headgate import metrics
from headgate.counters.address import CountersAddress, counters_address
from headgate.feed.allowances import Allowances
from headgate.feed.factors import Factors
from headgate.feed.figures import Figures
from headgate.feed.identity import gateway_id
from headgate.feed.listener import Listener
from headgate.feed.messages import ANY_GATEWAY, FIGURES_CHANNEL, RESTS_CHANNEL, Said, decoded, gateway_channel
from headgate.feed.replicas import Replicas
from headgate.feed.states import FORGET_S, TargetStates

DEAF_S = 6.0

log = structlog.get_logger()


class Subscriber(Listener):
    """Listens until it is closed. `gateway` None: to all gateways there are."""

    def __init__(
        self,
        address: CountersAddress,
        gateway: str | None,
        states: TargetStates,
        factors: Factors | None = None,
        figures: Figures | None = None,
        allowances: Allowances | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        channels = ("SUBSCRIBE", RESTS_CHANNEL, FIGURES_CHANNEL, *([gateway_channel(gateway)] if gateway else []))
        super().__init__(address, channels, *([] if gateway else [("PSUBSCRIBE", ANY_GATEWAY)]), deaf_s=DEAF_S)
        self._states = states
        self._factors = factors
        self._figures = figures
        self._allowances = allowances
        self._replicas = replicas
        self._heard = metrics.FEED_HEARD.labels("targets")
        self._listens = False
        self._silent_since = time.monotonic()
        self._told_down = False

    def start(self) -> None:
        """Listen in the background of the running loop."""
        self._heard.set(time.time())
        super().start()

    def hear(self, message: bytes) -> bool:
        """What a gateway says."""
        said = decoded(message)
        if said:
            self._take_over(said)
        return said is not None

    def _take_over(self, said: Said) -> None:
        if said.health is not None:
            self._heard.set(time.time())
            self._states.take_health(said.gateway, said.states())
        self._states.take_rests(said.all_rests(), all_there_are=said.health is not None)
        if said.factors is not None and self._factors:
            self._factors.take(said.gateway, said.all_factors())
        if said.figures is not None and self._figures:
            self._figures.take(said.gateway, said.figures.known())
        if said.left and self._allowances:
            self._allowances.take(one.known() for one in said.left)
        if said.replicas is not None and self._replicas:
            self._replicas.take(said.gateway, said.all_replicas())

    def up(self) -> None:
        """It is heard again what is said."""
        self._listens = True
        if self._told_down:
            self._told_down = False
            log.info("feed is back")

    def down(self, reason: str) -> None:
        """One line per change of state, and none for what is back before anything is forgotten."""
        now = time.monotonic()
        if self._listens:
            self._listens, self._silent_since = False, now
        if not self._told_down and now - self._silent_since >= FORGET_S:
            self._told_down = True
            log.warning("feed is away: targets count as good", reason=reason)


_running: list[Subscriber] = []  # a task that nobody refers to may be collected


def start(
    factors: Factors | None = None,
    figures: Figures | None = None,
    allowances: Allowances | None = None,
    replicas: Replicas | None = None,
) -> TargetStates:
    """What a worker's plans go by, kept up to date from now on, all others too; called in the worker's loop."""
    states = TargetStates()
    subscriber = Subscriber(counters_address(), gateway_id(), states, factors, figures, allowances, replicas)
    subscriber.start()
    _running.append(subscriber)
    return states
