"""How long a model's requests may wait in the gateway before they go to an engine. Pure."""

from headgate.config.chains import chains_of
from headgate.config.model import Gateway
from headgate.contract import ADAPTER_WAIT_S


def longest_wait_s(gateway: Gateway, name: str) -> float:
    """For an adapter of the model, and for a slot: ratelimit/seats.py keeps to it."""
    queue = gateway.models[name].queue
    return (queue.max_wait_s if queue else 0.0) + (ADAPTER_WAIT_S if _has_adapters(gateway, name) else 0.0)


def _has_adapters(gateway: Gateway, name: str) -> bool:
    engines = {target.provider for chain in chains_of(gateway, name) for target in chain} & gateway.engines.keys()
    return any(gateway.engines[engine].max_loras for engine in engines)
