"""Which keys of gateway.yaml a reload cannot change, and what it takes to change them. Pure."""

from headgate.config.entry import Entry
from headgate.config.model import Gateway

# What a reload may change. The rest is in Envoy's bootstrap, in a part's command or both.
RELOADED = ("providers", "engines", "models", "plans", "tenants", "alerts", "auth", "billing", "spool")


def restart_keys(running: Gateway, wanted: Gateway) -> list[str]:
    """Keys of gateway.yaml that differ and that a reload cannot change."""
    sections = [name for name in Gateway.model_fields if name not in RELOADED]
    return [key for name in sections for key in _differing(name, getattr(running, name), getattr(wanted, name))]


def by_restart(key: str) -> bool:
    """What Envoy's bootstrap holds or a part reads when it starts; the rest is the supervisor's, or adds parts."""
    section = key.partition(".")[0]
    return section in ("telemetry", "spool") or (section == "listen" and key != "listen.admin")


def _differing(key: str, running: object, wanted: object) -> list[str]:
    if running == wanted:
        return []
    if type(running) is not type(wanted) or not isinstance(running, Entry):
        return [key]
    return [
        inner
        for name, field in type(running).model_fields.items()
        for inner in _differing(f"{key}.{field.alias or name}", getattr(running, name), getattr(wanted, name))
    ]
