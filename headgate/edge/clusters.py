"""Envoy's provider clusters (CDS): one per provider and credential. The model is in the body, not here.

A cluster is never empty and keeps Envoy's default panic threshold: an unhealthy target is still tried, so that its
failure moves the request on; Envoy would end the chain at a target it refuses to try. Credentials are not here:
`headgate.edge.secrets` hands them over by SDS.

To which replica of an engine a request goes the plan says. Seen with Envoy 1.40: each attempt, also one that hedges,
takes the next host of the list that is in its cluster, ejected or not, and never one before it; where there is none
left, Envoy picks a host that this request has not tried.
"""

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    CircuitBreakersThresholdsRetryBudget,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
    LoadBalancingPolicy,
    LoadBalancingPolicyPolicy,
    OutlierDetection,
    UpstreamConnectionOptions,
)
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
from envoy_data_plane.envoy.extensions.load_balancing_policies.least_request.v3 import LeastRequest
from envoy_data_plane.envoy.extensions.load_balancing_policies.override_host.v3 import (
    OverrideHost,
    OverrideHostOverrideHostSource,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsAutoHttpConfig,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.metadata.v3 import MetadataKey, MetadataKeyPathSegment
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Any, Struct

from headgate.cluster_names import Account, accounts_of
from headgate.config.model import Gateway, Provider
from headgate.contract import CLUSTER_METADATA, HOSTS, LIMITER, PLAN
from headgate.edge.attempts import attempt_filters
from headgate.edge.messages import extension, pack, seconds, tcp
from headgate.edge.spool import members_of
from headgate.edge.tls import all_addresses, upstream_tls

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Engines close idle connections early (uvicorn after 5 s): let go first, or a request meets a closing connection.
ENGINE_IDLE_S = 4.0
PROVIDER_IDLE_S = 55.0


def provider_accounts(gateway: Gateway) -> list[Account]:
    """All providers with each of their credentials, in the file's order."""
    return [account for name, provider in gateway.providers.items() for account in accounts_of(name, provider)]


def provider_clusters(gateway: Gateway) -> list[Cluster]:
    """The clusters of all of these."""
    return [provider_cluster(account) for account in provider_accounts(gateway)]


def differs_inline(provider: Provider) -> bool:
    """Whether its cluster reads something from other files."""
    return provider.urls[0].scheme == "https"


def provider_cluster(account: Account, *, inline: bool = False) -> Cluster:
    """The cluster of one provider, or of one of its keys; `inline` leaves out what is read from other files."""
    provider, cluster = account.provider, account.cluster
    external = provider.base_url is not None
    tls = provider.urls[0].scheme == "https"
    return Cluster(
        name=cluster,
        alt_stat_name=account.stat_name,  # its counters go on when the provider's entry changes
        type=ClusterDiscoveryType.STATIC if all_addresses(provider) else ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        load_balancing_policy=_as_planned() if provider.is_engine else None,
        connect_timeout=seconds(provider.connect_timeout_s),
        metadata=Metadata(filter_metadata={CLUSTER_METADATA: Struct.from_dict(_metadata(account))}),
        load_assignment=_endpoints(cluster, provider),
        health_checks=[_health_check(provider.health_check, provider.urls[0].authority)]
        if provider.health_check
        else [],
        outlier_detection=_outlier_detection(),
        circuit_breakers=_circuit_breakers(provider),
        upstream_connection_options=UpstreamConnectionOptions(
            tcp_keepalive=TcpKeepalive(keepalive_probes=3, keepalive_time=30, keepalive_interval=10)
        ),
        transport_socket=upstream_tls(account.shared, provider, inline=inline) if tls else None,
        typed_extension_protocol_options={
            HTTP_OPTIONS: _http_options(account, cluster, PROVIDER_IDLE_S if external else ENGINE_IDLE_S, tls)
        },
    )


def _as_planned() -> LoadBalancingPolicy:
    """Instead of `lb_policy`: the hosts that are named of a request that has waited, or else in its plan, in order.

    Where none are, as of other providers.
    """
    hosts = [MetadataKey(key=one, path=[MetadataKeyPathSegment(key=HOSTS)]) for one in (LIMITER, PLAN)]
    planned = OverrideHost(
        override_host_sources=[OverrideHostOverrideHostSource(metadata=one) for one in hosts],
        fallback_policy=_policy("least_request", LeastRequest()),
    )
    return _policy("override_host", planned)


def _policy(name: str, message: Message) -> LoadBalancingPolicy:
    one = LoadBalancingPolicyPolicy(
        typed_extension_config=extension(f"envoy.load_balancing_policies.{name}", message)
    )
    return LoadBalancingPolicy(policies=[one])


def _metadata(account: Account) -> dict[str, str]:
    known = {"provider": account.name} | ({"key": account.key} if account.key else {})
    return known | {"line": members_of({"target": account.name, "provider_key": account.key or None})}


def _endpoints(cluster: str, provider: Provider) -> ClusterLoadAssignment:
    return ClusterLoadAssignment(
        cluster_name=cluster,
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


def _circuit_breakers(provider: Provider) -> CircuitBreakers:
    breakers, budget = high_circuit_breakers(), provider.retry_budget
    thresholds = breakers.thresholds[0]
    thresholds.max_requests = provider.max_requests
    thresholds.retry_budget = CircuitBreakersThresholdsRetryBudget(
        budget_percent=Percent(value=budget.share * 100), min_retry_concurrency=budget.at_least
    )
    return breakers


def _http_options(account: Account, cluster: str, idle_s: float, tls: bool) -> Any:
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
            http_filters=attempt_filters(cluster, account.provider, account.key),
        )
    )
