"""Envoy's view of the filter workers: one endpoint per Unix socket, dead ones left out at once."""

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
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
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.v3 import Percent

from headgate.contract import FILTERS_CLUSTER, NO_TARGET_CLUSTER, worker_socket
from headgate.edge.clusters import HTTP_OPTIONS, high_circuit_breakers
from headgate.edge.messages import pack, seconds, unix


def own_clusters(workers: int) -> list[Cluster]:
    """The filter workers, and the empty cluster that a request without a plan is sent to."""
    return [_filters(workers), Cluster(name=NO_TARGET_CLUSTER, type=ClusterDiscoveryType.STATIC)]


def _filters(workers: int) -> Cluster:
    sockets = [LbEndpoint(endpoint=Endpoint(address=unix(str(worker_socket(index))))) for index in range(workers)]
    return Cluster(
        name=FILTERS_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        lb_policy=ClusterLbPolicy.ROUND_ROBIN,
        connect_timeout=seconds(0.25),
        load_assignment=ClusterLoadAssignment(
            cluster_name=FILTERS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=sockets)]
        ),
        # Without this, one live worker of four would count as panic and dead ones would be asked again.
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=1.0)),
        health_checks=[
            HealthCheck(
                timeout=seconds(1),
                interval=seconds(3),
                no_traffic_interval=seconds(3),
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
                    )
                )
            )
        },
    )
