"""Envoy's provider clusters (CDS): one per provider and credential. The model is in the body, not here.

A cluster is never empty and keeps Envoy's default panic threshold: an unhealthy target is still tried, so that its
failure moves the request on; Envoy would end the chain at a target it refuses to try. Credentials are not here:
`headgate.edge.secrets` hands them over by SDS.
"""

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
    OutlierDetection,
    UpstreamConnectionOptions,
)
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    HealthCheck,
    HealthCheckHttpHealthCheck,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    Metadata,
    TcpKeepalive,
)
from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions as CommonHttpOptions
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsAutoHttpConfig,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any, Struct

from headgate.cluster_names import cluster_of
from headgate.config.model import Gateway, Provider
from headgate.contract import CLUSTER_METADATA, SECRETS, cluster_name
from headgate.edge.filters import lua_filter, lua_source
from headgate.edge.messages import pack, seconds, tcp
from headgate.edge.secrets import credential_header, key_file
from headgate.edge.tls import all_addresses, upstream_tls

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Engines close idle connections early (uvicorn after 5 s): let go first, or a request meets a closing connection.
ENGINE_IDLE_S = 4.0
PROVIDER_IDLE_S = 55.0

# Request headers that may leave the gateway; `forward_headers` of a provider adds to them.
FORWARDED_HEADERS = (
    ":method",
    ":path",
    ":authority",
    ":scheme",
    "accept",
    "content-length",
    "content-type",
    "openai-beta",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-request-id",
)


def provider_clusters(gateway: Gateway, *, inline: bool = False) -> list[Cluster]:
    """The clusters of all providers, in the file's order; `inline` leaves out what is read from other files."""
    return [provider_cluster(name, provider, inline=inline) for name, provider in gateway.providers.items()]


def provider_cluster(name: str, provider: Provider, *, inline: bool = False) -> Cluster:
    """The cluster of one provider."""
    external = provider.base_url is not None
    tls = provider.urls[0].scheme == "https"
    return Cluster(
        name=cluster_of(name, provider),
        alt_stat_name=cluster_name(name),  # its counters go on when the provider's entry changes
        type=ClusterDiscoveryType.STATIC if all_addresses(provider) else ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        connect_timeout=seconds(provider.connect_timeout_s),
        metadata=Metadata(filter_metadata={CLUSTER_METADATA: Struct.from_dict({"provider": name})}),
        load_assignment=_endpoints(name, provider),
        health_checks=[_health_check(provider.health_check, provider.urls[0].authority)]
        if provider.health_check
        else [],
        outlier_detection=_outlier_detection(),
        circuit_breakers=high_circuit_breakers(),
        upstream_connection_options=UpstreamConnectionOptions(
            tcp_keepalive=TcpKeepalive(keepalive_probes=3, keepalive_time=30, keepalive_interval=10)
        ),
        transport_socket=upstream_tls(cluster_of(name, provider), provider, inline=inline) if tls else None,
        typed_extension_protocol_options={
            HTTP_OPTIONS: _http_options(name, provider, PROVIDER_IDLE_S if external else ENGINE_IDLE_S, tls)
        },
    )


def _endpoints(name: str, provider: Provider) -> ClusterLoadAssignment:
    return ClusterLoadAssignment(
        cluster_name=cluster_of(name, provider),
        endpoints=[
            LocalityLbEndpoints(
                lb_endpoints=[
                    LbEndpoint(endpoint=Endpoint(address=tcp(url.host, url.port), hostname=url.host))
                    for url in provider.urls
                ]
            )
        ],
    )


def _health_check(path: str, host: str) -> HealthCheck:
    return HealthCheck(
        timeout=seconds(2),
        interval=seconds(5),
        no_traffic_interval=seconds(5),
        unhealthy_interval=seconds(1),
        unhealthy_threshold=2,
        healthy_threshold=1,
        http_health_check=HealthCheckHttpHealthCheck(path=path, host=host),
    )


def _outlier_detection() -> OutlierDetection:
    return OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=5,
        consecutive_gateway_failure=5,
        enforcing_consecutive_gateway_failure=100,
        enforcing_success_rate=0,  # a few requests that all carry the same mistake are not the host's fault
        interval=seconds(1),
        base_ejection_time=seconds(5),
        max_ejection_time=seconds(60),
        max_ejection_percent=50,
    )


def high_circuit_breakers() -> CircuitBreakers:
    """A last resort only: over a breaker Envoy answers 503 itself and the chain ends. Quotas are the limiter's."""
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(
                max_connections=65_536, max_pending_requests=65_536, max_requests=65_536, max_retries=4_096
            )
        ]
    )


def _http_options(name: str, provider: Provider, idle_s: float, tls: bool) -> Any:
    http1 = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())
    return pack(
        HttpProtocolOptions(
            common_http_protocol_options=CommonHttpOptions(idle_timeout=seconds(idle_s)),
            explicit_http_config=None if tls else http1,
            auto_config=HttpProtocolOptionsAutoHttpConfig(
                http_protocol_options=Http1ProtocolOptions(), http2_protocol_options=Http2ProtocolOptions()
            )
            if tls
            else None,
            http_filters=_attempt_filters(name, provider),
        )
    )


def _attempt_filters(name: str, provider: Provider) -> list[HttpFilter]:
    """Run once per attempt: make the request this provider's, its credential included, and send."""
    attempt = lua_filter("attempt", _attempt_config(name, provider) + lua_source("attempt"))
    return [
        HttpFilter(name="headgate.attempt", typed_config=pack(attempt)),
        HttpFilter(name="headgate.answer", typed_config=pack(_unforged_answer())),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=pack(UpstreamCodec())),
    ]


def _unforged_answer() -> HeaderMutationFilter:
    """Takes out of a provider's answer what only the gateway and its Envoy may say."""
    return HeaderMutationFilter(
        mutations=Mutations(
            response_mutations=[
                HeaderMutation(
                    remove_on_match=HeaderMutationRemoveOnMatch(
                        key_matcher=StringMatcher(prefix=prefix, ignore_case=True)
                    )
                )
                for prefix in ("x-envoy-", "x-headgate-")
            ]
        )
    )


def _attempt_config(name: str, provider: Provider) -> str:
    """The `CONFIG` table of envoy/attempt.lua. The key itself stays in its file."""
    url = provider.urls[0]
    path = url.path if provider.base_url is not None and provider.api == "openai" else f"{url.path}/v1"
    default_port = {"http": 80, "https": 443}[url.scheme]
    host = url.authority.removesuffix(f":{default_port}")
    keep = [*FORWARDED_HEADERS, *provider.forward_headers]
    return "local CONFIG = {{ path = {}, host = {}, keep = {{ {} }}, key = {} }}\n".format(
        _lua_string(path),
        _lua_string(host),
        ", ".join(f"[{_lua_string(header)}] = true" for header in keep),
        _key_config(name, provider),
    )


def _key_config(name: str, provider: Provider) -> str:
    if provider.api_key is None:
        return "nil"
    file = SECRETS / key_file(cluster_of(name, provider))
    header, prefix = credential_header(provider.api)
    return "{{ file = {}, header = {}, prefix = {} }}".format(*map(_lua_string, (str(file), header, prefix)))


def _lua_string(text: str) -> str:
    """A Lua string literal; everything but plain characters as decimal escapes."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_./:@"
    return '"{}"'.format("".join(chr(b) if chr(b) in plain else f"\\{b:03d}" for b in text.encode()))
