"""Envoy's listeners for clients: everything about a connection that does not depend on who calls or which model.

They are part of the bootstrap and never change while Envoy runs: changing a listener would cut running streams. What
bounds a connection, and with which numbers, is in docs/security.md.
"""

import datetime as dt
import socket

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    Http3ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    PathConfigSource,
    QuicProtocolOptions,
    TransportSocket,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener, UdpListenerConfig
from envoy_data_plane.envoy.config.listener.v3 import QuicProtocolOptions as QuicListenerOptions
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerForwardClientCertDetails,
    HttpConnectionManagerHcmAccessLogOptions,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    Rds,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from headgate.config.addresses import Address
from headgate.config.model import Gateway, Https
from headgate.contract import FALLBACK, REQUEST_ID, ROUTES, TARGET
from headgate.edge.filters import BODY_SLACK_BYTES, http_filters
from headgate.edge.messages import extension, pack, seconds, tcp, udp
from headgate.edge.replies import local_replies
from headgate.edge.routes import ROUTE_CONFIG
from headgate.edge.spool import edge_logs
from headgate.edge.tls import downstream_quic, downstream_tls
from headgate.edge.tracing import tracing
from headgate.edge.websocket import inner_listener, upgrades

STAT_PREFIX = "edge"
PROGRESS_S = 5.0  # requests that run longer leave a `progress` line this often

# Headers by which a client could speak for the gateway.
_FORGEABLE_PREFIXES = ("x-envoy-", "x-forwarded-")
_TAKEN = (TARGET, FALLBACK)  # of the x-headgate- ones, what clients may say


# Of a client's connection; a stream of one client may hold up to the first, all of them together the second.
STREAM_WINDOW_BYTES = 256 * 2**10
CONNECTION_WINDOW_BYTES = 2**20
MAX_STREAMS = 256
HANDSHAKE_S = 10.0


def edge_listeners(gateway: Gateway, spool: str, routes: RouteConfiguration | None = None) -> list[Listener]:
    """One listener for each address that clients use, and the bridge's. Without `routes` they come by RDS.

    With `routes` everything is meant to be in one document, secrets too.
    """
    listen, inline = gateway.listen, routes is not None
    found = []
    if listen.http:
        found.append(_tcp_listener("http", listen.http, gateway, _manager(gateway, spool, routes)))
    if listen.https:
        manager = _manager(gateway, spool, routes, https=listen.https)
        tls = downstream_tls(listen.https, inline=inline)
        found.append(_tcp_listener("https", listen.https.address, gateway, manager, tls))
        if listen.https.http3:
            manager = _manager(gateway, spool, routes, https=listen.https, quic=True)
            quic = downstream_quic(listen.https, inline=inline)
            found.append(_udp_listener("http3", listen.https.address, gateway, manager, quic))
    inner = _chain(_manager(gateway, spool, routes), None)
    return [*found, inner_listener(inner, _connection_buffer_bytes(listen.max_body_bytes))]


def _tcp_listener(
    name: str, address: Address, gateway: Gateway, manager: HttpConnectionManager, tls: TransportSocket | None = None
) -> Listener:
    """HTTP/1.1, and HTTP/2 by ALPN or, without TLS, by prior knowledge."""
    resolved = _resolved(address)
    return Listener(
        name=name,
        address=tcp(resolved.host, resolved.port),
        per_connection_buffer_limit_bytes=_connection_buffer_bytes(gateway.listen.max_body_bytes),
        filter_chains=[_chain(manager, tls)],
    )


def _udp_listener(
    name: str, address: Address, gateway: Gateway, manager: HttpConnectionManager, quic: TransportSocket
) -> Listener:
    """HTTP/3."""
    resolved = _resolved(address)
    return Listener(
        name=name,
        address=udp(resolved.host, resolved.port),
        per_connection_buffer_limit_bytes=_connection_buffer_bytes(gateway.listen.max_body_bytes),
        udp_listener_config=UdpListenerConfig(
            quic_options=QuicListenerOptions(crypto_handshake_timeout=seconds(HANDSHAKE_S))
        ),
        filter_chains=[_chain(manager, quic)],
    )


def _chain(manager: HttpConnectionManager, transport: TransportSocket | None) -> FilterChain:
    return FilterChain(
        filters=[Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))],
        transport_socket=transport,
        transport_socket_connect_timeout=_handshake(transport),
    )


def _handshake(transport: TransportSocket | None) -> dt.timedelta | None:
    """QUIC has a limit of its own."""
    return seconds(HANDSHAKE_S) if transport and transport.name == "envoy.transport_sockets.tls" else None


def _manager(
    gateway: Gateway,
    spool: str,
    routes: RouteConfiguration | None,
    *,
    https: Https | None = None,
    quic: bool = False,
) -> HttpConnectionManager:
    """What every listener does with a request: there is one, however it arrived."""
    listen, telemetry = gateway.listen, gateway.telemetry
    http3_port = https.address.port if https and https.http3 else None
    return HttpConnectionManager(
        codec_type=HttpConnectionManagerCodecType.HTTP3 if quic else HttpConnectionManagerCodecType.AUTO,
        stat_prefix=STAT_PREFIX,
        access_log=edge_logs(spool, traced=telemetry is not None),
        access_log_options=HttpConnectionManagerHcmAccessLogOptions(access_log_flush_interval=seconds(PROGRESS_S)),
        tracing=tracing(telemetry) if telemetry else None,
        route_config=routes,
        rds=None if routes else Rds(route_config_name=ROUTE_CONFIG, config_source=_routes_file()),
        http_filters=http_filters(spool, listen.max_body_bytes, http3_port, tls=https is not None),
        upgrade_configs=upgrades(listen.max_body_bytes),
        # Who the client is comes from the connection: no address is trusted for what its headers say.
        use_remote_address=True,
        internal_address_config=HttpConnectionManagerInternalAddressConfig(unix_sockets=False),
        forward_client_cert_details=HttpConnectionManagerForwardClientCertDetails.SANITIZE,
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
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=MAX_STREAMS,
            initial_stream_window_size=STREAM_WINDOW_BYTES,
            initial_connection_window_size=CONNECTION_WINDOW_BYTES,
        ),
        http3_protocol_options=_http3_options() if quic else None,
        request_headers_timeout=seconds(listen.headers_timeout_s),
        request_timeout=seconds(listen.request_timeout_s),
        stream_idle_timeout=seconds(300),
        local_reply_config=local_replies(listen.max_body_bytes),
    )


def _http3_options() -> Http3ProtocolOptions:
    return Http3ProtocolOptions(
        quic_protocol_options=QuicProtocolOptions(
            max_concurrent_streams=MAX_STREAMS,
            initial_stream_window_size=STREAM_WINDOW_BYTES,
            initial_connection_window_size=CONNECTION_WINDOW_BYTES,
        )
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
            + [
                HeaderMutation(
                    remove_on_match=HeaderMutationRemoveOnMatch(
                        key_matcher=StringMatcher(safe_regex=RegexMatcher(regex=f"x-headgate-{other}"))
                    )
                )
                for other in _none_of([name.removeprefix("x-headgate-") for name in _TAKEN])
            ]
            # Clients on private networks would keep theirs: Envoy takes such addresses for its own side.
            + [HeaderMutation(remove=REQUEST_ID)]
        ),
    )


def _none_of(words: list[str]) -> list[str]:
    """Regular expressions for every text but these: RE2 has no look-ahead, and Envoy takes no large program."""
    heads = "".join(sorted({word[0] for word in words}))
    return [f"(?:|[^{heads}].*)", *(word[0] + _not(word[1:]) for word in words)]


def _not(word: str) -> str:
    return f"(?:|[^{word[0]}].*|{word[0]}{_not(word[1:])})" if word else ".+"


def _resolved(address: Address) -> Address:
    """Envoy listens on IP addresses only; a name such as localhost is looked up once, here."""
    ip = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][4][0]
    return Address(str(ip), address.port)
