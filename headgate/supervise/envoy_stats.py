"""Envoy's statistics as metrics of ours: which ones, under which names, with which labels. Pure.

Envoy's names carry clusters in the name and have no help; tables here turn them into families of our own.
Several of Envoy's numbers may add up to one of ours, and what Envoy has not counted yet is 0.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from headgate.contract import FILTERS_CLUSTER, cluster_name
from headgate.supervise import families
from headgate.supervise.families import Family

Labels = tuple[str, ...]
Samples = dict[Family, dict[Labels, float]]

_CLASSES = ("2xx", "3xx", "4xx", "5xx")

# What follows `http.edge….`
_EDGE: dict[str, tuple[Family, Labels]] = {
    "downstream_rq_active": (families.REQUESTS_IN_FLIGHT, ()),
    "downstream_cx_active": (families.CONNECTIONS, ()),
    "downstream_cx_total": (families.CONNECTIONS_TOTAL, ()),
    **{f"downstream_rq_{one}": (families.RESPONSES, (one,)) for one in _CLASSES},
    "downstream_rq_header_timeout": (families.CLIENT_TIMEOUTS, ("headers",)),
    "downstream_rq_timeout": (families.CLIENT_TIMEOUTS, ("body",)),
    "downstream_rq_idle_timeout": (families.CLIENT_TIMEOUTS, ("idle",)),
    "downstream_rq_rx_reset": (families.CLIENT_RESETS, ()),
    "downstream_cx_protocol_error": (families.PROTOCOL_ERRORS, ()),
    "downstream_rq_overload_close": (families.OVERLOAD_REFUSALS, ("request",)),
    "rq_overload_local_reply": (families.OVERLOAD_REFUSALS, ("request",)),
    "ext_authz.ok": (families.FILTER_CALLS, ("authz", "allowed")),
    "ext_authz.denied": (families.FILTER_CALLS, ("authz", "refused")),
    "ext_authz.error": (families.FILTER_CALLS, ("authz", "failed")),
    "ext_proc.streams_started": (families.FILTER_CALLS, ("extproc", "started")),
    "ext_proc.streams_failed": (families.FILTER_CALLS, ("extproc", "failed")),
    "ext_proc.message_timeouts": (families.FILTER_ERRORS, ("extproc",)),
}

# Counted a second time: they are failures among calls.
_ERRORS: dict[str, tuple[Family, Labels]] = {
    "ext_authz.error": (families.FILTER_ERRORS, ("authz",)),
    "ext_proc.streams_failed": (families.FILTER_ERRORS, ("extproc",)),
}

# What follows `cluster.provider/NAME.` or `cluster.provider/NAME/KEY.`; both names are put in front of the labels.
_PROVIDER: dict[str, tuple[Family, Labels]] = {
    "upstream_cx_active": (families.PROVIDER_CONNECTIONS, ()),
    "upstream_rq_active": (families.PROVIDER_IN_FLIGHT, ()),
    "upstream_rq_pending_active": (families.PROVIDER_PENDING, ()),
    "upstream_rq_total": (families.PROVIDER_REQUESTS, ()),
    **{f"upstream_rq_{one}": (families.PROVIDER_RESPONSES, (one,)) for one in _CLASSES},
    # Those that made another attempt are counted apart.
    **{f"retry.upstream_rq_{one}": (families.PROVIDER_RESPONSES, (one,)) for one in _CLASSES},
    "upstream_rq_retry": (families.PROVIDER_RETRIES, ()),
    "upstream_cx_connect_fail": (families.PROVIDER_FAILURES, ("connect",)),
    "upstream_cx_connect_timeout": (families.PROVIDER_FAILURES, ("connect_timeout",)),
    "upstream_rq_timeout": (families.PROVIDER_FAILURES, ("timeout",)),
    "upstream_rq_per_try_timeout": (families.PROVIDER_FAILURES, ("attempt_timeout",)),
    "upstream_rq_rx_reset": (families.PROVIDER_FAILURES, ("reset",)),
    "membership_total": (families.PROVIDER_ENDPOINTS, ()),
    "membership_healthy": (families.PROVIDER_HEALTHY, ()),
    "outlier_detection.ejections_active": (families.PROVIDER_EJECTED, ()),
    "outlier_detection.ejections_enforced_total": (families.PROVIDER_EJECTIONS, ()),
    "health_check.failure": (families.PROVIDER_CHECKS_FAILED, ()),
    "circuit_breakers.default.cx_open": (families.PROVIDER_BREAKER, ()),
    "circuit_breakers.default.rq_open": (families.PROVIDER_BREAKER, ()),
    "circuit_breakers.default.rq_pending_open": (families.PROVIDER_BREAKER, ()),
    "circuit_breakers.default.rq_retry_open": (families.PROVIDER_BREAKER, ()),
}

_WHOLE: dict[str, tuple[Family, Labels]] = {
    f"cluster.{FILTERS_CLUSTER}.membership_total": (families.WORKERS, ()),
    f"cluster.{FILTERS_CLUSTER}.membership_healthy": (families.WORKERS_HEALTHY, ()),
    "filesystem.write_buffered": (families.SPOOL_LINES, ()),
    "filesystem.write_failed": (families.SPOOL_WRITE_FAILURES, ()),
    "cluster_manager.cds.update_rejected": (families.ENVOY_REJECTED, ("clusters",)),
    "tracing.opentelemetry.spans_sent": (families.TRACE_SPANS, ("sent",)),
    "tracing.opentelemetry.spans_dropped": (families.TRACE_SPANS, ("dropped",)),
    "headgate.metering.unmetered": (families.METERING, ("unmetered",)),
    "headgate.metering.unhidden": (families.METERING, ("unhidden",)),
    "headgate.metering.unrecorded": (families.METERING, ("unrecorded",)),
}

# Wherever they stand in a name, and summed: filters count per cluster, secrets per name.
_ANYWHERE: tuple[tuple[re.Pattern[str], tuple[tuple[Family, Labels], ...]], ...] = (
    (re.compile(r"^http\.edge[^.]*\.rds\..*\.update_rejected$"), ((families.ENVOY_REJECTED, ("routes",)),)),
    (re.compile(r"^(?:.*\.)?sds\..*\.update_rejected$"), ((families.ENVOY_REJECTED, ("secrets",)),)),
    (re.compile(r"\.ratelimit\.ok$"), ((families.FILTER_CALLS, ("ratelimit", "allowed")),)),
    (re.compile(r"\.ratelimit\.over_limit$"), ((families.FILTER_CALLS, ("ratelimit", "refused")),)),
    (
        re.compile(r"\.ratelimit\.error$"),
        ((families.FILTER_CALLS, ("ratelimit", "failed")), (families.FILTER_ERRORS, ("ratelimit",))),
    ),
    (
        re.compile(r"^listener\.(?!admin\.).*\.downstream_cx_overload_reject$"),
        ((families.OVERLOAD_REFUSALS, ("connection",)),),
    ),
)
_ACTION = re.compile(r"^overload\.envoy\.overload_actions\.([a-z_0-9]+)\.active$")
_PRESSURE = re.compile(r"^overload\.envoy\.resource_monitors\.([a-z_0-9]+)\.pressure$")

_EDGE_NAME = re.compile(r"^http\.edge[^.]*\.(.+)$")
_PROVIDER_CLUSTER = f"cluster.{cluster_name('')}"
_PROVIDER_KNOWN = ".membership_total"


def _filter() -> str:
    """The regular expression by which Envoy picks the statistics that are read here."""
    edge = "|".join(map(re.escape, _EDGE))
    provider = "|".join(map(re.escape, _PROVIDER))
    whole = "|".join(map(re.escape, _WHOLE))
    anywhere = r"\.update_rejected$|\.ratelimit\.(ok|over_limit|error)$"
    return (
        rf"^http\.edge[^.]*\.({edge})$|^{re.escape(_PROVIDER_CLUSTER)}.*\.({provider})$|^({whole})$|{anywhere}"
        r"|^overload\.envoy\..*\.(active|pressure)$|\.downstream_cx_overload_reject$"
    )


FILTER = _filter()


def samples_of(stats: Iterable[tuple[str, float]]) -> Samples:
    """Our metrics of Envoy's statistics; every label value that the tables name is there, as 0 if need be."""
    found = dict(stats)
    samples: Samples = defaultdict(lambda: defaultdict(float))
    for family, labels in (*_EDGE.values(), *_ERRORS.values(), *_WHOLE.values(), *_anywhere_rows()):
        samples[family][labels] = 0.0
    for name, value in found.items():
        for family, labels in _rows(name):
            samples[family][labels] += value
        if pressure := _PRESSURE.match(name):
            samples[families.OVERLOAD_PRESSURE][pressure[1],] = value / 100  # Envoy says percent
    _add_providers(found, samples)
    return samples


# What is there at this moment and not a count: an Envoy that finishes its streams has some of it, too.
_PRESENT = (
    families.REQUESTS_IN_FLIGHT,
    families.CONNECTIONS,
    families.PROVIDER_CONNECTIONS,
    families.PROVIDER_IN_FLIGHT,
    families.PROVIDER_PENDING,
)


def add_present(samples: Samples, others: Samples) -> None:
    """Add what another Envoy has at this moment."""
    for family in _PRESENT:
        for labels, value in others.get(family, {}).items():
            samples[family][labels] = samples[family].get(labels, 0.0) + value


def _anywhere_rows() -> list[tuple[Family, Labels]]:
    return [row for _pattern, rows in _ANYWHERE for row in rows]


def _rows(name: str) -> Iterable[tuple[Family, Labels]]:
    if name in _WHOLE:
        yield _WHOLE[name]
    elif edge := _EDGE_NAME.match(name):
        for table in (_EDGE, _ERRORS):
            if edge[1] in table:
                yield table[edge[1]]
    elif action := _ACTION.match(name):
        yield families.OVERLOAD, (action[1],)
    for pattern, rows in _ANYWHERE:
        if pattern.search(name):
            yield from rows


def _add_providers(found: Mapping[str, float], samples: Samples) -> None:
    # A provider's name may hold dots, and Envoy has statistics with a part in between (`.external.upstream_rq_2xx`).
    clusters = [
        name.removesuffix(_PROVIDER_KNOWN)
        for name in found
        if name.startswith(_PROVIDER_CLUSTER) and name.endswith(_PROVIDER_KNOWN)
    ]
    for cluster in clusters:
        provider, _, key = cluster.removeprefix(_PROVIDER_CLUSTER).partition("/")
        for stat, (family, labels) in _PROVIDER.items():
            value = found.get(f"{cluster}.{stat}", 0.0)
            if family is families.PROVIDER_BREAKER:
                samples[family][provider, key] = max(samples[family][provider, key], value)
            else:
                samples[family][provider, key, *labels] += value
