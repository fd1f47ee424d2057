"""How targets are, as a worker knows it: one look-up per target, without waiting, from memory.

What is not known to be bad is good. Health is forgotten when nobody speaks of it any more; rests end by themselves.
"""

import enum
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FORGET_S = 5.0  # five heartbeats: who says nothing for so long says nothing about now


class State(enum.IntEnum):
    """A target's state, ordered by how likely an attempt succeeds all the same when nothing better is left.

    One that is low on its provider's limits still answers (headgate/feed/allowances.py knows which ones are).
    Saturated passes within moments. A rested one answers 429, which tells a client more than a 503 does. An ejected
    one has failed and may be back, an unhealthy one fails its checks right now, a refused key is no better a moment
    later. An unresolved one has no address: Envoy ends the chain there.
    """

    OK = 0
    LOW = 1
    SATURATED = 2
    RESTED = 3
    EJECTED = 4
    UNHEALTHY = 5
    REFUSED = 6
    UNRESOLVED = 7


_ENDPOINT = "#"  # in no cluster's name
EVERY_MODEL = ""  # of a rest: the provider refuses the key


def endpoint_name(cluster: str, address: str) -> str:
    """What one endpoint of a cluster with several is called where states are said of clusters."""
    return f"{cluster}{_ENDPOINT}{address}"


def is_endpoint(name: str) -> bool:
    """Whether a name is an endpoint's."""
    return _ENDPOINT in name


@dataclass(frozen=True, slots=True)
class Rest:
    """A provider has asked for a pause for one of its models, or refuses the key; `left_s` from now on."""

    cluster: str
    model: str
    left_s: float


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one gateway said last of its clusters, and until when that counts."""

    until: float
    health: Mapping[str, State]


class TargetStates:
    """Asked by the planner with `of`, filled by the subscriber. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._health: dict[str, State] = {}
        self._health_until = 0.0
        self._rests: dict[tuple[str, str], float] = {}

    def of(self, cluster: str, model: str) -> State:
        """The state of an upstream model behind a cluster: the worse of the cluster's health and the model's rest."""
        if not self._health and not self._rests:
            return State.OK
        now = self._clock()
        state = self._health.get(cluster, State.OK) if now < self._health_until else State.OK
        if state < State.REFUSED and self._rests.get((cluster, EVERY_MODEL), now) > now:
            return State.REFUSED
        if state < State.RESTED and self._rests.get((cluster, model), now) > now:
            return State.RESTED
        return state

    def take_health(self, gateway: str, health: Mapping[str, State]) -> None:
        """All that a gateway has to say of its clusters: what it does not name is good.

        A worker that belongs to no gateway hears several; it believes the worst of what they say.
        """
        now = self._clock()
        self._heard[gateway] = _Heard(now + FORGET_S, health)
        self._heard = {name: heard for name, heard in self._heard.items() if heard.until > now}
        merged: dict[str, State] = {}
        for heard in self._heard.values():
            for cluster, state in heard.health.items():
                merged[cluster] = max(state, merged.get(cluster, State.OK))
        self._health, self._health_until = merged, now + FORGET_S

    def take_rests(self, rests: tuple[Rest, ...], *, all_there_are: bool = False) -> None:
        """Rests that run. None is made shorter by it: an older message may come after a newer one.

        But a refused key that is not among `all_there_are` has been replaced.
        """
        now = self._clock()
        running = {
            target: until
            for target, until in self._rests.items()
            if until > now and not (all_there_are and target[1] == EVERY_MODEL)
        }
        for rest in rests:
            target = (rest.cluster, rest.model)
            running[target] = max(now + rest.left_s, running.get(target, 0.0))
        self._rests = running
