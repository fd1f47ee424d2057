"""Engines whose requests take slots: those that some model has a `queue` for, and how the tables have them. Pure."""

from headgate.cluster_names import cluster_of
from headgate.config.chains import chains_of
from headgate.config.model import Gateway
from headgate.snapshot import QueueRow, SlotsRow

Pools = dict[str, str]  # what an engine's slots are called, by the engine's name


def pools_of(gateway: Gateway, owner: str = "") -> Pools:
    """Whichever model a request is for, it takes a slot of such an engine.

    Gateways that share counters share the slots of an external engine, which has the same name in all of them; a
    managed one is its `owner`'s, a gateway's id.
    """
    queued = {
        target.provider
        for name, model in gateway.models.items()
        if model.queue
        for chain in chains_of(gateway, name)
        for target in chain
    }
    engines = {name: engine for name, engine in gateway.engines.items() if name in queued}
    return {name: f"{name}/{owner}" if engine.managed else name for name, engine in engines.items()}


def slots_rows(gateway: Gateway, pools: Pools) -> dict[str, SlotsRow]:
    """By what their slots are called."""
    return {
        pool: SlotsRow(cluster_of(name, gateway.providers[name]), engine.max_running * engine.size)
        for name, pool in pools.items()
        for engine in (gateway.engines[name],)
    }


def queue_row(gateway: Gateway, name: str) -> QueueRow | None:
    """Of a model."""
    queue = gateway.models[name].queue
    return QueueRow(queue.length, round(queue.max_wait_s * 1000)) if queue else None


def pools_of_model(gateway: Gateway, name: str, pools: Pools) -> tuple[str, ...]:
    """Of which engines a request for the model may hold a slot."""
    providers = {target.provider for chain in chains_of(gateway, name) for target in chain}
    return tuple(sorted(pools[one] for one in providers if one in pools))
