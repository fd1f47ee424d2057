"""Route profiles: the distinct combinations of timeouts and retry conditions that the models ask for.

Envoy has no safe per-request header for an idle timeout or `retry_on`, so each combination is a route of its own and
`extproc` names it in a header. Used by both sides: the route table and the workers' snapshot.
"""

from dataclasses import dataclass

from headgate.config.model import Gateway, Model
from headgate.contract import HEDGED
from headgate.engine_waits import longest_wait_s


@dataclass(frozen=True, slots=True)
class RouteProfile:
    """One route's worth of settings, in seconds.

    `hedges`: several attempts may wait at the same time, so that the time between two pieces is the request's.
    `wait_s`: how long the request may wait for its adapter and for an engine before.
    """

    name: str
    retry_on: tuple[str, ...]
    idle_s: float
    total_s: float
    hedges: bool = False
    wait_s: float = 0.0


def profile_of(model: Model, wait_s: float, *, streams: bool, hedges: bool = False) -> RouteProfile:
    """The profile that a model needs; its name says what is in it, so equal profiles are one route.

    `idle` is the time between two pieces: an answer that comes whole has none before its first byte.
    """
    retry_on = tuple(sorted(model.retry_on))
    total_s = model.timeouts.total_s
    idle_s = model.timeouts.idle_s if streams else total_s
    waits = f"/wait={wait_s:g}" if wait_s else ""
    name = f"{'+'.join(retry_on) or 'never'}/idle={idle_s:g}/total={total_s:g}{waits}{HEDGED if hedges else ''}"
    return RouteProfile(name, retry_on, idle_s, total_s, hedges, wait_s)


def hedged_profile_of(model: Model, wait_s: float) -> RouteProfile | None:
    """That of a model's streams that may be hedged; None for a model without `hedge`."""
    return profile_of(model, wait_s, streams=True, hedges=True) if model.hedge_s is not None else None


def profiles_of(gateway: Gateway) -> list[RouteProfile]:
    """All profiles in use, each once, in a stable order."""
    waits = [(model, longest_wait_s(gateway, name)) for name, model in gateway.models.items()]
    both = [profile_of(model, wait_s, streams=streams) for model, wait_s in waits for streams in (True, False)]
    hedged = [profile for model, wait_s in waits if (profile := hedged_profile_of(model, wait_s))]
    profiles = {profile.name: profile for profile in (*both, *hedged)}
    return [profiles[name] for name in sorted(profiles)]
