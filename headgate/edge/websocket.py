"""Responses over WebSocket: what of Envoy's the bridge (headgate/bridge) stands between.

A client's upgrade of `GET /v1/responses`, and of nothing else, has filters of its own: its key is checked, and it
goes on to the bridge. What the client then asks for comes back by an inner listener as requests like anybody's, which
pass all filters. Nothing of a connection is decided here but whose it is.
"""

from collections.abc import Sequence

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import Address, HeaderValueOption, Pipe
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteActionUpgradeConfig,
    RouteMatch,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.set_metadata.v3 import Config as SetMetadata
from envoy_data_plane.envoy.extensions.filters.http.set_metadata.v3 import Metadata
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.google.protobuf import Struct

from headgate.contract import (
    AUTHZ,
    BRIDGE_CLUSTER,
    BRIDGE_SOCKET,
    CONNECTION_SURFACE,
    CREDENTIAL_HEADERS,
    INNER_SOCKET,
    KEPT_PREFIX,
    MAX_BODY,
    REQUEST,
    TENANT,
    TENANT_HEADER,
    WEBSOCKET_ROUTE,
)
from headgate.edge.filters import authorization
from headgate.edge.messages import pack, seconds, set_header, unix

_PATH = r"(?:/tenants/[^/]+)?/v1/responses"

# The bridge pings every client each 20 s, so one that says nothing for so long hangs.
SILENCE_S = 120.0


def upgrades(max_body_bytes: int) -> list[HttpConnectionManagerUpgradeConfig]:
    """The filters of an upgrade, which only the route of `websocket_route` allows."""
    return [
        HttpConnectionManagerUpgradeConfig(upgrade_type="websocket", enabled=False, filters=_filters(max_body_bytes))
    ]


def _filters(max_body_bytes: int) -> list[HttpFilter]:
    """Who; and off to the bridge, with what it needs to ask in the client's name."""
    # authz takes the credential away, whoever asks: the bridge gets it under other names, which clients cannot set.
    kept = [set_header(f"{KEPT_PREFIX}{name}", f"%REQ({name})%") for name in (*CREDENTIAL_HEADERS, TENANT_HEADER)]
    known = set_header(TENANT, f"%DYNAMIC_METADATA({AUTHZ}:tenant)%")
    return [
        HttpFilter(
            name="headgate.kept",
            typed_config=pack(_setting([*kept, set_header(MAX_BODY, str(max_body_bytes))])),
        ),
        authorization(),
        HttpFilter(name="headgate.known", typed_config=pack(_setting([known]))),
        HttpFilter(name="headgate.connection", typed_config=pack(_surface())),
        HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router(suppress_envoy_headers=True))),
    ]


def _setting(headers: Sequence[HeaderValueOption]) -> HeaderMutationFilter:
    return HeaderMutationFilter(
        mutations=Mutations(request_mutations=[HeaderMutation(append=header) for header in headers])
    )


def _surface() -> SetMetadata:
    """For the spool: a connection is no request."""
    value = Struct.from_dict({"surface": CONNECTION_SURFACE})
    return SetMetadata(metadata=[Metadata(metadata_namespace=REQUEST, value=value, allow_overwrite=True)])


def websocket_route() -> Route:
    """For the upgrade alone. It has no time limit but silence: the bridge ends a connection after an hour."""
    websocket = StringMatcher(exact="websocket", ignore_case=True)
    return Route(
        name=WEBSOCKET_ROUTE,
        match=RouteMatch(
            safe_regex=RegexMatcher(regex=_PATH),
            headers=[
                HeaderMatcher(name="upgrade", string_match=websocket),
                HeaderMatcher(name=":method", string_match=StringMatcher(exact="GET")),
            ],
        ),
        route=RouteAction(
            cluster=BRIDGE_CLUSTER,
            timeout=seconds(0),
            idle_timeout=seconds(SILENCE_S),
            upgrade_configs=[RouteActionUpgradeConfig(upgrade_type="websocket", enabled=True)],
        ),
    )


def bridge_cluster() -> Cluster:
    """The bridge, on its Unix socket. One that is away is 503 at once."""
    endpoint = LbEndpoint(endpoint=Endpoint(address=unix(str(BRIDGE_SOCKET))))
    return Cluster(
        name=BRIDGE_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(1),
        load_assignment=ClusterLoadAssignment(
            cluster_name=BRIDGE_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
    )


def inner_listener(chain: FilterChain, buffer_bytes: int) -> Listener:
    """Where the bridge sends its clients' requests: a Unix socket that only the gateway's user can open.

    Its connections are no clients': how many there are is bounded by the bridge.
    """
    return Listener(
        name="inner",
        address=Address(pipe=Pipe(path=str(INNER_SOCKET), mode=0o600)),
        per_connection_buffer_limit_bytes=buffer_bytes,
        ignore_global_conn_limit=True,
        filter_chains=[chain],
    )
