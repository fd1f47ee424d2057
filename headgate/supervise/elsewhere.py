"""Filter workers on other hosts (`services.filters`): what they are handed over, by whom they are known."""

from headgate.feed.identity import make_gateway_id
from headgate.remote.handing import Handing, Hosts
from headgate.remote.messages import Hello
from headgate.remote.network import TlsFiles
from headgate.supervise.plan import Plan


def handing(plan: Plan) -> Handing | None:
    """What keeps them told; None where all workers are here. The working directory is the state directory."""
    services, base = plan.gateway.services, plan.config.parent
    if services.filters is None:
        return None
    filters = services.filters
    files = TlsFiles(base / filters.cert, base / filters.key, base / filters.ca)
    hosts = Hosts(tuple(filters.endpoints), filters.server_name, files)
    return Handing(hosts, Hello(make_gateway_id(), len(filters.endpoints), services.counters or ""))
