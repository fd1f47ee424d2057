"""Envoy's listener for clients: everything about a connection that does not depend on who calls or which model.

It is part of the bootstrap and never changes while Envoy runs: changing a listener would cut running streams.
"""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    PathConfigSource,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerHcmAccessLogOptions,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    Rds,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from headgate.config.addresses import Address
from headgate.contract import REQUEST_ID, ROUTES
from headgate.edge.filters import BODY_SLACK_BYTES, http_filters
from headgate.edge.messages import extension, pack, seconds, tcp
from headgate.edge.replies import local_replies
from headgate.edge.routes import ROUTE_CONFIG
from headgate.edge.spool import edge_logs

STAT_PREFIX = "edge"
PROGRESS_S = 5.0  # requests that run longer leave a `progress` line this often

# Headers by which a client could speak for the gateway.
_FORGEABLE_PREFIXES = ("x-envoy-", "x-forwarded-", "x-headgate-")


def edge_listener(
    address: Address, spool: str, max_body_bytes: int, routes: RouteConfiguration | None = None
) -> Listener:
    """The plain HTTP listener (HTTP/1.1, and HTTP/2 by prior knowledge). Without `routes` they come by RDS."""
    manager = HttpConnectionManager(
        stat_prefix=STAT_PREFIX,
        access_log=edge_logs(spool),
        access_log_options=HttpConnectionManagerHcmAccessLogOptions(access_log_flush_interval=seconds(PROGRESS_S)),
        route_config=routes,
        rds=None if routes else Rds(route_config_name=ROUTE_CONFIG, config_source=_routes_file()),
        http_filters=http_filters(spool, max_body_bytes),
        # Who the client is comes from the connection: no address is trusted for what its headers say.
        use_remote_address=True,
        internal_address_config=HttpConnectionManagerInternalAddressConfig(unix_sockets=False),
        early_header_mutation_extensions=[_strip_forgeable()],
        generate_request_id=True,
        preserve_external_request_id=False,
        always_set_request_id_in_response=True,
        server_name="headgate",
        normalize_path=True,
        merge_slashes=True,
        # %2F stays: model ids contain slashes, and nothing is routed by path.
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
        max_request_headers_kb=60,
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(300),
            max_headers_count=100,
            headers_with_underscores_action=HttpProtocolOptionsHeadersWithUnderscoresAction.DROP_HEADER,
        ),
        # HTTP/1.0 is what some proxies in front of us speak by default.
        http_protocol_options=Http1ProtocolOptions(accept_http_10=True, default_host_for_http_10="headgate"),
        http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=1024),
        request_headers_timeout=seconds(10),
        request_timeout=seconds(120),
        stream_idle_timeout=seconds(300),
        local_reply_config=local_replies(max_body_bytes),
    )
    return Listener(
        name="http",
        address=tcp(address.host, address.port),
        per_connection_buffer_limit_bytes=_connection_buffer_bytes(max_body_bytes),
        filter_chains=[
            FilterChain(
                filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))]
            )
        ],
    )


def _connection_buffer_bytes(max_body_bytes: int) -> int:
    """How much of a body may arrive while authz decides: a small part of what the buffer filter then takes.

    Above half of it Envoy would not start to read again once that filter has raised the limit, and the request would
    hang (seen with Envoy 1.40: 1 MiB here, little more there, a body of 2 MiB).
    """
    return min(2**20, (max_body_bytes + BODY_SLACK_BYTES) // 16)


def _routes_file() -> ConfigSource:
    return ConfigSource(resource_api_version=ApiVersion.V3, path_config_source=PathConfigSource(path=str(ROUTES)))


def _strip_forgeable() -> TypedExtensionConfig:
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        EarlyHeaderMutation(
            mutations=[
                HeaderMutation(
                    remove_on_match=HeaderMutationRemoveOnMatch(
                        key_matcher=StringMatcher(prefix=prefix, ignore_case=True)
                    )
                )
                for prefix in _FORGEABLE_PREFIXES
            ]
            # Clients on private networks would keep theirs: Envoy takes such addresses for its own side.
            + [HeaderMutation(remove=REQUEST_ID)]
        ),
    )
