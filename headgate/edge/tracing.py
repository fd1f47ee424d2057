"""Envoy's side of traces: one span per request and one per attempt, sent to an OTLP/HTTP collector.

Part of the bootstrap, and only when gateway.yaml has `telemetry`: otherwise nothing here reaches Envoy. Attribute
names are OpenTelemetry's for generative AI where it has one. Values are what the filters learned of the request; no
prompt, no answer, no credential and no query string is ever among them.
"""

import ipaddress
import ssl

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType, ClusterDnsLookupFamily
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HttpService,
    HttpUri,
    TransportSocket,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.trace.v3 import OpenTelemetryConfig, TracingHttp
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManagerTracing
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.samplers.v3 import (
    ParentBasedSamplerConfig,
    TraceIdRatioBasedSamplerConfig,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.tracing.v3 import CustomTag
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType, Percent

from headgate.config.addresses import Url
from headgate.config.model import Telemetry
from headgate.contract import AUTHZ, REQUEST, TELEMETRY_CLUSTER, USAGE, otlp_traces_url
from headgate.edge.messages import extension, pack, seconds, tcp

SERVICE_NAME = "headgate"
MAX_CACHED_SPANS = 1024  # while the collector is away; what is more is dropped and counted

# Attribute -> where Envoy finds the value when a span ends. One that is not known is left out.
_TAGS = {
    "gen_ai.operation.name": f"%DYNAMIC_METADATA({REQUEST}:operation)%",
    "gen_ai.request.model": f"%DYNAMIC_METADATA({REQUEST}:model)%",
    "gen_ai.response.model": f"%DYNAMIC_METADATA({REQUEST}:upstream_model)%",
    "gen_ai.provider.name": "%CLUSTER_METADATA(headgate:provider)%",
    "gen_ai.usage.input_tokens": f"%DYNAMIC_METADATA({USAGE}:prompt)%",
    "gen_ai.usage.output_tokens": f"%DYNAMIC_METADATA({USAGE}:completion)%",
    "headgate.tenant": f"%DYNAMIC_METADATA({AUTHZ}:tenant)%",
    "headgate.attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    # Envoy's own tag of this name has the query, where people put what is not ours to repeat.
    "http.url": "%PATH(NQ)%",
}


def tracing(telemetry: Telemetry) -> HttpConnectionManagerTracing:
    """What the connection manager records: `sample` of the requests whose client has not decided already."""
    return HttpConnectionManagerTracing(
        client_sampling=Percent(value=0),  # x-client-trace-id is nobody's contract here
        random_sampling=Percent(value=100),  # the sampler decides; with less, a client's decision would not count
        spawn_upstream_span=True,
        operation="%REQUEST_HEADER(:METHOD)% %PATH(NQ)%",
        upstream_operation="attempt %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        custom_tags=[CustomTag(tag=name, value=value) for name, value in _TAGS.items()],
        provider=TracingHttp(
            name="envoy.tracers.opentelemetry",
            typed_config=pack(
                OpenTelemetryConfig(
                    http_service=HttpService(
                        http_uri=HttpUri(
                            uri=otlp_traces_url(str(telemetry.otlp)),
                            cluster=TELEMETRY_CLUSTER,
                            timeout=seconds(2),
                        )
                    ),
                    service_name=SERVICE_NAME,
                    sampler=_sampler(telemetry.sample),
                    max_cache_size=MAX_CACHED_SPANS,
                )
            ),
        ),
    )


def _sampler(sample: float) -> TypedExtensionConfig:
    """The client's `sampled` flag where there is one, a share of the trace ids otherwise."""
    share = FractionalPercent(
        numerator=round(sample * 1_000_000), denominator=FractionalPercentDenominatorType.MILLION
    )
    return extension(
        "envoy.tracers.opentelemetry.samplers.parent_based",
        ParentBasedSamplerConfig(
            wrapped_sampler=extension(
                "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
                TraceIdRatioBasedSamplerConfig(sampling_percentage=share),
            )
        ),
    )


def collector_cluster(telemetry: Telemetry) -> Cluster:
    """Where spans go; while it is away they wait in a bounded cache, and requests never notice."""
    url = telemetry.otlp
    endpoint = LbEndpoint(endpoint=Endpoint(address=tcp(url.host, url.port), hostname=url.host))
    return Cluster(
        name=TELEMETRY_CLUSTER,
        type=ClusterDiscoveryType.STATIC if _is_address(url.host) else ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        connect_timeout=seconds(1),
        load_assignment=ClusterLoadAssignment(
            cluster_name=TELEMETRY_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        transport_socket=_tls(url) if url.scheme == "https" else None,
    )


def _tls(url: Url) -> TransportSocket:
    named = not _is_address(url.host)
    address = SubjectAltNameMatcher(
        san_type=SubjectAltNameMatcherSanType.IP_ADDRESS, matcher=StringMatcher(exact=url.host)
    )
    context = UpstreamTlsContext(
        auto_host_sni=named,
        auto_sni_san_validation=named,
        common_tls_context=CommonTlsContext(
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(filename=ssl.get_default_verify_paths().cafile or ""),
                match_typed_subject_alt_names=[] if named else [address],
            )
        ),
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
