"""What /readyz asks beside the parts: services that we use and do not run, and what parts know of others."""

from headgate import contract
from headgate.config.model import Gateway
from headgate.issuer_tables import issuer_rows
from headgate.supervise import probes
from headgate.supervise.admin import Outside
from headgate.supervise.envoy_admin import EnvoyAdmin
from headgate.supervise.issuers import keys_fetched


def since_the_start(gateway: Gateway) -> list[Outside]:
    """What no reload changes."""
    services = gateway.services
    found = []
    if services.counters:
        found.append(Outside("counters", probes.counters_ping(services.counters), essential=False))
    if services.filters:
        found.append(Outside("filters", probes.filters_healthy(EnvoyAdmin(contract.ENVOY_ADMIN_SOCKET))))
    found.append(Outside("database", probes.database_up(contract.CONTROL_API_SOCKET), essential=False))
    if services.events:
        found.append(Outside("kafka", probes.tells_events(contract.EVENTS_SOCKET), essential=False))
    found.append(Outside("usage_store", probes.usage_store_up(contract.USAGE_SOCKET), essential=False))
    return found


def at_present(gateway: Gateway) -> list[Outside]:
    """What goes by the configuration that is loaded now."""
    found = []
    if issuers := issuer_rows(gateway.auth):
        found.append(Outside("issuers", keys_fetched(issuers), essential=False))
    if gateway.engines:
        found.append(Outside("replicas", probes.engines_ready(contract.ENGINES_SOCKET), essential=False))
    if short := probes.shortage(gateway.spool.min_free_bytes):
        found.append(Outside("spool", short))
    return found
