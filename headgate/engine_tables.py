"""From engines of gateway.yaml to the rows that their part works by. Pure."""

from headgate.cluster_names import accounts_of
from headgate.config.chains import chains_of
from headgate.config.engines import Engine, served_name
from headgate.config.model import Gateway
from headgate.engine_rows import EngineRow
from headgate.key_files import key_file, provider_ca_name, provider_pair_name, secret_file


def engine_rows(gateway: Gateway) -> dict[str, EngineRow]:
    """By name; each is a provider, too."""
    return {name: _row(gateway, name, engine) for name, engine in gateway.engines.items()}


def _longest_wait_s(gateway: Gateway, engine: str) -> float:
    waits = (
        model.queue.max_wait_s
        for name, model in gateway.models.items()
        if model.queue and any(target.provider == engine for chain in chains_of(gateway, name) for target in chain)
    )
    return max(waits, default=0.0)


def _row(gateway: Gateway, name: str, engine: Engine) -> EngineRow:
    provider = gateway.providers[name]
    account = accounts_of(name, provider)[0]
    return EngineRow(
        cluster=account.cluster,
        urls=tuple(map(str, provider.urls)),
        capacity=engine.max_running,
        served=served_name(name, engine),
        max_loras=engine.max_loras,
        adapters_dir=str(engine.adapters_dir) if engine.adapters_dir else None,
        adapters_path=engine.adapters_path,
        health=engine.health_check,
        key_file=key_file(account.cluster) if provider.api_key else None,
        ca_file=secret_file(provider_ca_name(account.shared)) if provider.ca else None,
        pair_file=secret_file(provider_pair_name(account.shared)) if provider.client_cert else None,
        managed=engine.managed,
        gpus=engine.devices,
        longest_wait_s=_longest_wait_s(gateway, name),
    )
