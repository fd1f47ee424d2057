"""Route profiles: the distinct combinations of timeouts and retry conditions that the models ask for.

Envoy has no safe per-request header for an idle timeout or `retry_on`, so each combination is a route of its own and
`extproc` names it in a header. Used by both sides: the route table and the workers' snapshot.
"""

from dataclasses import dataclass

from headgate.config.model import Gateway, Model


@dataclass(frozen=True, slots=True)
class RouteProfile:
    """One route's worth of settings, in seconds."""

    name: str
    retry_on: tuple[str, ...]
    idle_s: float
    total_s: float


def profile_of(model: Model, *, streams: bool) -> RouteProfile:
    """The profile that a model needs; its name says what is in it, so equal profiles are one route.

    `idle` is the time between two pieces: an answer that comes whole has none before its first byte.
    """
    retry_on = tuple(sorted(model.retry_on))
    total_s = model.timeouts.total_s
    idle_s = model.timeouts.idle_s if streams else total_s
    name = f"{'+'.join(retry_on) or 'never'}/idle={idle_s:g}/total={total_s:g}"
    return RouteProfile(name=name, retry_on=retry_on, idle_s=idle_s, total_s=total_s)


def profiles_of(gateway: Gateway) -> list[RouteProfile]:
    """All profiles in use, each once, in a stable order."""
    both = [profile_of(model, streams=streams) for model in gateway.models.values() for streams in (True, False)]
    profiles = {profile.name: profile for profile in both}
    return [profiles[name] for name in sorted(profiles)]
