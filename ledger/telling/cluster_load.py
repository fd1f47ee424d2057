"""How many attempts are under way at providers, by the gauges of Envoy's admin interface. Pure."""

import re
from collections.abc import Mapping

import msgspec

from headgate.contract import cluster_name

_GAUGES = ("upstream_rq_active", "upstream_rq_pending_active")  # sent, and waiting for a connection
_PREFIX = f"cluster.{cluster_name('')}"
_PATTERN = rf"^{re.escape(_PREFIX)}.*\.({'|'.join(_GAUGES)})$"
# `type` and `usedonly` leave most statistics out before the pattern is tried.
QUERY = {"type": "Gauges", "usedonly": "", "filter": _PATTERN, "format": "json"}


class _Gauge(msgspec.Struct, frozen=True):
    name: str = ""
    value: float | str = 0  # text in what is no gauge


class _Gauges(msgspec.Struct, frozen=True):
    stats: list[_Gauge] = []


_decoder = msgspec.json.Decoder(_Gauges)


def load_of(stats: bytes, clusters: Mapping[str, str]) -> dict[str, int]:
    """Attempts under way by cluster, of these providers' clusters; those without one are not there.

    Raises msgspec.DecodeError. A provider's clusters, of before a reload and after, share their gauges.
    """
    found: dict[str, int] = {}
    for gauge in _decoder.decode(stats).stats:
        provider, _, name = gauge.name.removeprefix(_PREFIX).rpartition(".")
        cluster = clusters.get(provider)
        if cluster and name in _GAUGES and isinstance(gauge.value, float | int) and gauge.value > 0:
            found[cluster] = found.get(cluster, 0) + int(gauge.value)
    return found
