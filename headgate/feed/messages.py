"""What the feed's messages say and where they go: channels, keys and fields are spelt here alone. Pure.

A message is JSON and holds everything that its sender knows, so that the next one makes up for a lost one. Times are
what is left, never a clock's: machines that share the counters need not agree on the time.
"""

from collections.abc import Iterable, Mapping

import msgspec

from headgate.feed.allowances import Kind, Left
from headgate.feed.factors import ByModel
from headgate.feed.figures import MOST_FIGURES, Known, Mean
from headgate.feed.replicas import MOST_ADAPTERS, MOST_REPLICAS, ByCluster, Replica, ReplicaState
from headgate.feed.states import Rest, State

RESTS_KEY = "hg:feed:rests"  # a sorted set: [cluster, model] by the end of its rest in the server's milliseconds
RESTS_CHANNEL = "hg:feed:rests"  # rests at once, for the workers of all gateways on these counters
FIGURES_CHANNEL = "hg:feed:figures"  # what strategies go by and what providers say is left, for all gateways' workers
DIRECTORY_CHANNEL = "hg:feed:directory"  # a version that was committed, for the control processes of other hosts
CALLS_CHANNEL = "hg:feed:calls"  # of adapters, for those who watch engines
ANY_GATEWAY = "hg:feed:gateway:*"

_WORDS = {state: state.name.lower() for state in State if state is not State.OK}
_STATES = {word: state for state, word in _WORDS.items()}
_REPLICA_STATES = {state.value: state for state in ReplicaState}


class RestSaid(msgspec.Struct, frozen=True):
    """One rest on the wire."""

    cluster: str
    model: str
    left_ms: int


class FactorSaid(msgspec.Struct, frozen=True):
    """What counts of prompts for one model are multiplied with."""

    api: str
    model: str
    factor: float


class TimeSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """How fast a target is."""

    cluster: str
    model: str
    ms: float
    weight: float
    streams: bool = False


class AnswerSaid(msgspec.Struct, frozen=True):
    """How long a model's answers are."""

    model: str
    tokens: float
    weight: float


class FiguresSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What strategies go by. `load` has attempts under way by cluster; None when nobody has looked."""

    times: list[TimeSaid] = []
    load: dict[str, int] | None = None
    answers: list[AnswerSaid] = []

    def known(self) -> Known:
        """As the worker keeps them."""
        times = {(said.cluster, said.model, said.streams): Mean(said.ms, said.weight) for said in self.times}
        return Known(times, self.load, {said.model: Mean(said.tokens, said.weight) for said in self.answers})


class LeftSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a provider has said is left of a limit."""

    cluster: str
    model: str
    kind: Kind
    limit: int | None
    left: int
    resets_in_ms: int
    age_ms: int

    def known(self) -> Left:
        """As the worker keeps it."""
        return Left(
            self.cluster, self.model, self.kind, self.limit, self.left, self.resets_in_ms / 1000, self.age_ms / 1000
        )


class ReplicaSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """One replica of an engine."""

    address: str
    state: str
    running: int = 0
    waiting: int = 0
    capacity: int = 0
    kv_used: float = 0.0
    adapters: list[str] = []

    def known(self) -> Replica:
        """As the worker keeps it; one in a state that this version does not know is given nothing."""
        state = _REPLICA_STATES.get(self.state, ReplicaState.AWAY)
        numbers = self.running, self.waiting, self.capacity, self.kv_used
        return Replica(self.address, state, *numbers, frozenset(self.adapters))


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message. `health` has the clusters that are not good, `factors` those that are not 1, `replicas` all of them.

    Each is None when the message is not about it.
    """

    gateway: str = ""
    health: dict[str, str] | None = None
    rests: list[RestSaid] = []
    factors: list[FactorSaid] | None = None
    figures: FiguresSaid | None = None
    left: list[LeftSaid] = []
    replicas: dict[str, list[ReplicaSaid]] | None = None

    def states(self) -> dict[str, State]:
        """`health` in our words; a word that this version does not know says nothing."""
        return {cluster: _STATES[word] for cluster, word in (self.health or {}).items() if word in _STATES}

    def all_rests(self) -> tuple[Rest, ...]:
        """`rests` as the worker keeps them."""
        return tuple(Rest(rest.cluster, rest.model, rest.left_ms / 1000) for rest in self.rests)

    def all_factors(self) -> ByModel:
        """`factors` as the worker keeps them."""
        return {(said.api, said.model): said.factor for said in self.factors or ()}

    def all_replicas(self) -> ByCluster:
        """`replicas` as the worker keeps them."""
        return {cluster: [one.known() for one in some] for cluster, some in (self.replicas or {}).items()}


class Called(msgspec.Struct, frozen=True, omit_defaults=True):
    """Adapters that requests came for since a worker spoke last, or that some wait for: names on engines, by cluster.

    `gateway` is "" of a worker that belongs to none.
    """

    gateway: str = ""
    names: dict[str, list[str]] = {}


_decoder = msgspec.json.Decoder(Said)
_calls_decoder = msgspec.json.Decoder(Called)


def gateway_channel(gateway: str) -> str:
    """Where one gateway's workers listen."""
    return f"hg:feed:gateway:{gateway}"


def whole(gateway: str, health: Mapping[str, State], rests: Iterable[Rest], factors: ByModel | None = None) -> str:
    """The whole state of a gateway, what it has learned, and the rests that it knows of."""
    bad = {cluster: _WORDS[state] for cluster, state in health.items() if state is not State.OK}
    learned = [FactorSaid(api, model, factor) for (api, model), factor in (factors or {}).items()]
    return _text(Said(gateway, bad, _said(rests), learned))


def rests_alone(rests: Iterable[Rest]) -> str:
    """Rests for everybody."""
    return _text(Said(rests=_said(rests)))


def figures_alone(gateway: str, known: Known) -> str:
    """What strategies go by, of one gateway; bounded, whatever there is."""
    times = [
        TimeSaid(cluster, model, _rounded(mean.value), _rounded(mean.weight), streams)
        for (cluster, model, streams), mean in list(known.times.items())[:MOST_FIGURES]
    ]
    load = None if known.load is None else dict(list(known.load.items())[:MOST_FIGURES])
    answers = [
        AnswerSaid(model, _rounded(mean.value), _rounded(mean.weight))
        for model, mean in list(known.answers.items())[:MOST_FIGURES]
    ]
    return _text(Said(gateway, figures=FiguresSaid(times, load, answers)))


def left_alone(some: Iterable[Left]) -> str:
    """What providers say is left, for the workers of all gateways."""
    said = [
        LeftSaid(
            one.cluster,
            one.model,
            one.kind,
            one.limit,
            one.left,
            round(one.resets_in_s * 1000),
            round(one.age_s * 1000),
        )
        for one in some
    ]
    return _text(Said(left=said))


def replicas_alone(gateway: str, replicas: ByCluster) -> str:
    """How the replicas of a gateway's engines are, by Envoy's cluster; bounded, whatever there is."""
    room, said = MOST_REPLICAS, {}
    for cluster, some in replicas.items():
        said[cluster] = [
            ReplicaSaid(
                one.address,
                one.state.value,
                one.running,
                one.waiting,
                one.capacity,
                _rounded(one.kv_used),
                sorted(one.adapters)[:MOST_ADAPTERS],
            )
            for one in some[:room]
        ]
        room -= len(said[cluster])
    return _text(Said(gateway, replicas=said))


def _rounded(value: float) -> float:
    """Three digits: finer differences are noise, and would be news every second."""
    return float(f"{value:.3g}")


def calls_alone(gateway: str, names: Mapping[str, Iterable[str]]) -> str:
    """Which adapters requests came for."""
    return msgspec.json.encode(Called(gateway, {cluster: sorted(some) for cluster, some in names.items()})).decode()


def decoded_calls(data: bytes) -> Called | None:
    """The message; None when it is none of ours."""
    try:
        return _calls_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decoded(data: bytes) -> Said | None:
    """The message; None when it is none of ours."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _said(rests: Iterable[Rest]) -> list[RestSaid]:
    return [RestSaid(rest.cluster, rest.model, round(rest.left_s * 1000)) for rest in rests]


def _text(said: Said) -> str:
    return msgspec.json.encode(said).decode()
