"""Engines as the providers that they are: in a checked gateway, and in a tree for the rules about providers. Pure."""

from collections.abc import Sequence
from typing import Any

from headgate.config.addresses import Url
from headgate.config.engine_places import FIRST_PORT, Place, Places, given_places
from headgate.config.engines import MAX_REPLICAS, Engine
from headgate.config.model import Gateway, Provider
from headgate.config.secret_refs import SecretRef
from headgate.config.wording import KeyPath
from headgate.contract import ENGINES_KEY

PRESET = "vllm"  # the simulator stands for it
HOST = "127.0.0.1"

# What an entry says just as a provider's does.
_SAID = (
    "forward_headers",
    "ca",
    "client_cert",
    "client_key",
    "connect_timeout_s",
    "max_requests",
    "retry_budget",
    "health_check",
    "usage",
    "zone",
    "api_key",
)
_WRITTEN = tuple(Provider.model_fields[name].alias or name for name in _SAID)


class EngineProvider(Provider):
    """What makes it another provider than one that says the same."""

    @property
    def is_engine(self) -> bool:
        """As it says."""
        return True


def with_engines(gateway: Gateway, places: Places | None = None) -> Gateway:
    """With each engine among its providers; managed replicas listen at their `places`, or where they would like to.

    Those that are there from an earlier call are made anew.
    """
    found = given_places(gateway.engines) if places is None else places
    engines = {name: _provider(engine, found.get(name, ())) for name, engine in gateway.engines.items()}
    return gateway.model_copy(update={"providers": {**gateway.providers, **engines}}) if engines else gateway


def _provider(engine: Engine, places: Sequence[Place]) -> Provider:
    endpoints = engine.endpoints or [Url("http", HOST, place.port, "") for place in places]
    said = {field: getattr(engine, field) for field in _SAID}
    if engine.managed:
        said["api_key"] = SecretRef("own", str(ENGINES_KEY))
    provider = EngineProvider.model_validate({"api": "openai", "preset": PRESET, "endpoints": endpoints})
    return provider.model_copy(update=said)


def tree_with_engines(root: dict[str, Any]) -> dict[str, Any]:
    """A tree whose providers are engines too, but for those that have a provider's name."""
    engines, providers = root.get("engines"), root.get("providers", {})
    if not isinstance(engines, dict) or not isinstance(providers, dict):
        return root
    found = {name: _written(one) if isinstance(one, dict) else one for name, one in engines.items()}
    return {**root, "providers": {**found, **providers}}


def _written(engine: dict[str, Any]) -> dict[str, Any]:
    replicas = engine.get("replicas", 1)
    count = replicas if isinstance(replicas, int) and 1 <= replicas <= MAX_REPLICAS else 1
    managed = [f"http://{HOST}:{FIRST_PORT + index}" for index in range(count)]
    said = {key: engine[key] for key in _WRITTEN if key in engine}
    return {
        "api": "openai",
        "preset": PRESET,
        "endpoints": engine.get("endpoints", managed),
        "zone": "internal",
        **said,
    }


def place_in_file(root: dict[str, Any], path: KeyPath) -> KeyPath:
    """Where the file has what a rule about providers found at a path of `tree_with_engines`."""
    engines, providers = root.get("engines"), root.get("providers", {})
    if (
        path[:1] != ("providers",)
        or len(path) < 2
        or not isinstance(engines, dict)
        or not isinstance(providers, dict)
    ):
        return path
    return ("engines", *path[1:]) if path[1] in engines and path[1] not in providers else path
