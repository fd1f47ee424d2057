"""The admin API in Envoy, and what is asked about usage: their routes, the cluster of the process that answers, and
what its answers carry.

Their requests pass authz like all others, and nothing else that is made for models: no plan, no limits, no metering,
no line in the spool. They have a limit of their own for bodies and one for time, and are never sent twice.
"""

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import Http1ProtocolOptions
from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions as CommonHttpOptions
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    FilterConfig,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
)
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import Buffer, BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutationPerRoute, Mutations
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher
from envoy_data_plane.envoy.type.v3 import Int64Range
from envoy_data_plane.google.protobuf import Any

from headgate.contract import (
    ADAPTER_UPLOADS,
    ADMIN_MARK,
    ADMIN_PATH,
    ADMISSION,
    ATTEMPTS,
    CONTROL_API_SOCKET,
    CONTROL_CLUSTER,
    FOR_ADMIN,
    FOR_USAGE,
    MAX_ADMIN_BODY_BYTES,
    TARGET,
)
from headgate.edge.messages import pack, seconds, set_header, unix
from headgate.endpoints import USAGE_PATHS

FILTER = "headgate.admin"
TIMEOUT_S = 30.0
EXPORT_S = 3600.0  # the audit log as a whole; what is silent for so long as others may take ends
UPLOAD_S = 600.0  # from its last byte to the answer: weights are checked, and go to the store of objects
UPLOAD_IDLE_S = 600.0
_EXPORT = f"{ADMIN_PATH}audit/export"
_NO_PROVIDER = [TARGET, ATTEMPTS]  # the virtual host adds them before

# More than twice the connection's buffer, or a body that fills that while authz decides would never be read on
# (headgate/edge/listener.py). What is larger than an admin request may be and does not say so, control refuses.
_BUFFER_BYTES = 4 * 2**20
_KEEPALIVE_S = 30.0  # control lets idle connections be for longer, so none closes as a request comes

_SECURITY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_TLS_ONLY = {"strict-transport-security": "max-age=31536000"}


def admin_headers(*, tls: bool) -> HttpFilter:
    """Before authz, for control's APIs alone: the mark by which logs and replies know them, and safe answers."""
    headers = _SECURITY | (_TLS_ONLY if tls else {})
    mutations = Mutations(
        request_mutations=[HeaderMutation(append=set_header(ADMIN_MARK, FOR_ADMIN))],
        response_mutations=[HeaderMutation(append=set_header(name, value)) for name, value in headers.items()],
    )
    return HttpFilter(name=FILTER, typed_config=pack(HeaderMutationFilter(mutations=mutations)), disabled=True)


def admin_routes() -> list[Route]:
    """Before all others; the first that matches."""
    uploads = RouteMatch(safe_regex=RegexMatcher(regex=ADAPTER_UPLOADS))
    return [
        _to_control("admin-upload", uploads, UPLOAD_S, held=False),
        *(_too_large(match, "admin-too-large") for match in _paths(_announced())),
        _to_control("admin-export", RouteMatch(path=_EXPORT), EXPORT_S),
        *(_to_control("admin", match, TIMEOUT_S) for match in _paths()),
    ]


def usage_routes() -> list[Route]:
    """Before all others, too. Other requests pay for one regular expression that ends at their first letters."""
    paths = RegexMatcher(regex=USAGE_PATHS)
    mark = HeaderMutation(append=set_header(ADMIN_MARK, FOR_USAGE))
    return [
        _too_large(RouteMatch(safe_regex=paths, headers=[_announced()]), "usage-too-large", mark),
        _to_control("usage", RouteMatch(safe_regex=paths), TIMEOUT_S, mark),
    ]


def _announced() -> HeaderMatcher:
    too_large = Int64Range(start=MAX_ADMIN_BODY_BYTES + 1, end=2**63 - 1)
    return HeaderMatcher(name="content-length", range_match=too_large)


def _paths(*headers: HeaderMatcher) -> list[RouteMatch]:
    given = list(headers)
    return [RouteMatch(prefix=ADMIN_PATH, headers=given), RouteMatch(path=ADMIN_PATH.rstrip("/"), headers=given)]


def _too_large(match: RouteMatch, name: str, *marks: HeaderMutation) -> Route:
    """A body that announces itself as too large need not arrive."""
    return Route(
        name=name,
        match=match,
        direct_response=DirectResponseAction(status=413),
        response_headers_to_remove=_NO_PROVIDER,
        typed_per_filter_config=_filters(BufferPerRoute(disabled=True), *marks),
    )


def _to_control(name: str, match: RouteMatch, timeout_s: float, *marks: HeaderMutation, held: bool = True) -> Route:
    """With `held` a body arrives there whole or not at all; without, as it comes, and it may take its time."""
    buffer = BufferPerRoute(buffer=Buffer(max_request_bytes=_BUFFER_BYTES)) if held else BufferPerRoute(disabled=True)
    idle_s = TIMEOUT_S if held else UPLOAD_IDLE_S
    return Route(
        name=name,
        match=match,
        route=RouteAction(cluster=CONTROL_CLUSTER, timeout=seconds(timeout_s), idle_timeout=seconds(idle_s)),
        response_headers_to_remove=_NO_PROVIDER,
        typed_per_filter_config=_filters(buffer, *marks),
    )


def _filters(buffer: BufferPerRoute, *marks: HeaderMutation) -> dict[str, Any]:
    """Authz and the router are left, and the buffer: control gets whole requests alone. `marks` come last."""
    off = (
        "envoy.filters.http.ext_proc",
        ADMISSION,
        "envoy.filters.http.dynamic_modules",
        "headgate.translated",
        "headgate.watched",
    )
    return {
        FILTER: pack(HeaderMutationPerRoute(mutations=Mutations(request_mutations=list(marks)))),
        "envoy.filters.http.buffer": pack(buffer),
        **{name: pack(FilterConfig(disabled=True)) for name in off},
    }


def control_cluster() -> Cluster:
    """Control, on its Unix socket. One that is away is 503 at once."""
    endpoint = LbEndpoint(endpoint=Endpoint(address=unix(str(CONTROL_API_SOCKET))))
    options = HttpProtocolOptions(
        common_http_protocol_options=CommonHttpOptions(idle_timeout=seconds(_KEEPALIVE_S)),
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions()),
    )
    return Cluster(
        name=CONTROL_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        load_assignment=ClusterLoadAssignment(
            cluster_name=CONTROL_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(options)},
    )
