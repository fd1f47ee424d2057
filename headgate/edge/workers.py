"""Envoy's view of the filter workers, dead ones left out at once.

One endpoint per Unix socket or, where they run on other hosts, per address, by mutual TLS.
"""

from collections.abc import Sequence

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    Http2ProtocolOptions,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.route.v3 import RetryPolicy
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.v3 import Percent

from headgate.config.addresses import is_address
from headgate.config.filter_hosts import FilterHosts
from headgate.contract import FILTERS_CLUSTER, NO_TARGET_CLUSTER, worker_socket
from headgate.edge.admin_api import control_cluster
from headgate.edge.clusters import HTTP_OPTIONS, high_circuit_breakers
from headgate.edge.messages import another_host, pack, seconds, tcp, unix
from headgate.edge.tls import filters_tls
from headgate.edge.websocket import bridge_cluster


def own_clusters(workers: int | FilterHosts, *, inline: bool = False) -> list[Cluster]:
    """The filter workers, the bridge, control, and the empty cluster that a request without a plan is sent to."""
    nowhere = Cluster(name=NO_TARGET_CLUSTER, type=ClusterDiscoveryType.STATIC)
    filters = _elsewhere(workers, inline=inline) if isinstance(workers, FilterHosts) else _here(workers)
    return [filters, bridge_cluster(), control_cluster(), nowhere]


def _here(workers: int) -> Cluster:
    return _filters([unix(str(worker_socket(index))) for index in range(workers)], looked_at_s=3.0)


def _elsewhere(hosts: FilterHosts, *, inline: bool) -> Cluster:
    # Nobody kills one there that hangs, and a host that is gone closes nothing: seen sooner, and calls moved on.
    cluster = _filters([tcp(one.host, one.port) for one in hosts.endpoints], looked_at_s=1.0)
    cluster.connect_timeout = seconds(1)
    cluster.close_connections_on_host_health_failure = True
    cluster.transport_socket = filters_tls(hosts, inline=inline)
    if not all(is_address(one.host) for one in hosts.endpoints):
        cluster.type = ClusterDiscoveryType.STRICT_DNS
        cluster.dns_lookup_family = ClusterDnsLookupFamily.V4_PREFERRED
    return cluster


def _filters(addresses: Sequence[Address], looked_at_s: float) -> Cluster:
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address)) for address in addresses]
    return Cluster(
        name=FILTERS_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        # In turns, requests of an even number of calls would all be planned by the same worker; and one that hangs is
        # left alone by most, which it holds up until it is killed.
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        connect_timeout=seconds(0.25),
        load_assignment=ClusterLoadAssignment(
            cluster_name=FILTERS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
        # Without this, one live worker of four would count as panic and dead ones would be asked again.
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=1.0)),
        health_checks=[
            HealthCheck(
                timeout=seconds(1),
                interval=seconds(looked_at_s),
                no_traffic_interval=seconds(looked_at_s),
                unhealthy_interval=seconds(0.1),
                unhealthy_threshold=2,
                healthy_threshold=1,
                grpc_health_check=HealthCheckGrpcHealthCheck(),
            )
        ],
        outlier_detection=OutlierDetection(
            split_external_local_origin_errors=True,
            consecutive_local_origin_failure=1,
            interval=seconds(0.1),
            base_ejection_time=seconds(0.2),
            max_ejection_time=seconds(0.2),
            max_ejection_percent=100,
            enforcing_consecutive_5xx=0,
            enforcing_consecutive_gateway_failure=0,
            enforcing_success_rate=0,
        ),
        circuit_breakers=high_circuit_breakers(),
        typed_extension_protocol_options={
            HTTP_OPTIONS: pack(
                HttpProtocolOptions(
                    explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                        http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=1024)
                    ),
                    # A worker that died has decided nothing: ask the next one, as long as the call has time.
                    retry_policy=RetryPolicy(
                        retry_on="connect-failure,reset",
                        num_retries=2,
                        # Not the dead one again: between its ejections a third of a second's calls would try it.
                        retry_host_predicate=[another_host()],
                        host_selection_retry_max_attempts=16,
                    ),
                )
            )
        },
    )
