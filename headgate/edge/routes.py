"""Envoy's route table (RDS): one route per distinct timeout and retry profile, none per model.

The model is in the body, so `extproc` picks the route by header once it has read it. Clusters come from the plan in
dynamic metadata: attempt n goes to the plan's group n.
"""

from envoy_data_plane.envoy.config.route.v3 import (
    ClusterSpecifierPlugin,
    DirectResponseAction,
    HeaderMatcher,
    RateLimit,
    RateLimitAction,
    RateLimitActionMetaData,
    RateLimitActionMetaDataSource,
    RateLimitActionRequestHeaders,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    RouteMatchConnectMatcher,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.buffer.v3 import BufferPerRoute
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExtProcPerRoute
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.metadata.v3 import MetadataKey, MetadataKeyPathSegment
from envoy_data_plane.envoy.type.v3 import Int64Range

from headgate.config.model import Gateway, Model
from headgate.config.values import MAX_DURATION_S
from headgate.contract import (
    ADAPTER,
    ADAPTER_CLUSTER,
    ATTEMPTS,
    AUTHZ,
    CLIENT_TIMEOUTS,
    CLUSTER_METADATA,
    ENGINE,
    HOSTS,
    LACKS_ADAPTER,
    LEADING_KEY,
    NO_TARGET_CLUSTER,
    PLAN,
    REQUEST,
    REQUEST_ID,
    RETRY,
    ROUTE_PROFILE,
    TARGET,
    TRIED_MODEL,
)
from headgate.edge.admin_api import admin_routes, usage_routes
from headgate.edge.filters import BODY_SLACK_BYTES
from headgate.edge.messages import (
    ClusterWeight,
    PriorityGroup,
    PriorityGroupClusterSpecifier,
    another_host,
    extension,
    pack,
    seconds,
    set_header,
)
from headgate.edge.websocket import websocket_route
from headgate.error_shapes import ANTHROPIC_REQUEST_ID, ANTHROPIC_SURFACES
from headgate.profiles import RouteProfile, profiles_of

ROUTE_CONFIG = "edge"

_BY_HEADER = "retriable-headers"
# https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter#x-envoy-retry-on
_RETRY_ON = {
    "connect": "connect-failure",
    "reset": "reset",
    "5xx": "5xx",
    "429": "retriable-status-codes",
    "timeout": "gateway-error",
    "context_window": _BY_HEADER,  # envoy/module/attempt.c recognises such answers
}

# What a provider says about itself, its account or its edge is not for our clients.
_PROVIDER_HEADERS = [
    "alt-svc",
    "cf-cache-status",
    "cf-ray",
    "openai-organization",
    "openai-project",
    "request-id",
    "server",
    "set-cookie",
    "strict-transport-security",
    "via",
    RETRY,
    TRIED_MODEL,
    "x-powered-by",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
]


def route_configuration(gateway: Gateway) -> RouteConfiguration:
    """One route per profile, then the one that a request has before its plan is known."""
    buffer_bytes = gateway.listen.max_body_bytes + BODY_SLACK_BYTES
    planned = [_route(profile, buffer_bytes) for profile in profiles_of(gateway)]
    return RouteConfiguration(
        name=ROUTE_CONFIG,
        most_specific_header_mutations_wins=True,
        virtual_hosts=[
            VirtualHost(
                name="all",
                domains=["*"],
                include_request_attempt_count=True,
                rate_limits=[*map(_descriptors, (ENGINE, LACKS_ADAPTER))],
                response_headers_to_remove=_PROVIDER_HEADERS,
                response_headers_to_add=[
                    set_header(TARGET, f"%CLUSTER_METADATA({CLUSTER_METADATA}:provider)%"),
                    set_header(ATTEMPTS, "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
                    set_header(ANTHROPIC_REQUEST_ID, _id_for_anthropics_clients()),
                ],
                routes=[
                    _no_tunnels(),
                    *admin_routes(),
                    *usage_routes(),
                    websocket_route(),
                    *planned,
                    _planned_meanwhile(buffer_bytes),
                    _too_large(gateway.listen.max_body_bytes),
                    _unplanned(),
                ],
            )
        ],
    )


def _descriptors(why: str) -> RateLimit:
    """What the limiter is told of a request that may have to wait; others have no value for `why`, and none."""
    known_of = ("model", "base_model", "user", "surface", "directory", "upstream_model")
    names = (*known_of, LEADING_KEY, ADAPTER, ADAPTER_CLUSTER)
    known = {"tenant": AUTHZ, "key_id": AUTHZ, **dict.fromkeys(names, REQUEST), HOSTS: PLAN}
    return RateLimit(
        actions=[
            _told(why, REQUEST, needed=True),
            *(_told(name, namespace) for name, namespace in known.items()),
            _header(REQUEST_ID),
            *(_header(name) for name in CLIENT_TIMEOUTS),
        ],
    )


def _told(name: str, namespace: str, *, needed: bool = False) -> RateLimitAction:
    return RateLimitAction(
        metadata=RateLimitActionMetaData(
            descriptor_key=name,
            metadata_key=MetadataKey(key=namespace, path=[MetadataKeyPathSegment(key=name)]),
            source=RateLimitActionMetaDataSource.DYNAMIC,
            skip_if_absent=not needed,
        )
    )


def _header(name: str) -> RateLimitAction:
    return RateLimitAction(
        request_headers=RateLimitActionRequestHeaders(
            header_name=name, descriptor_key=name.removeprefix("x-").replace("-", "_"), skip_if_absent=True
        )
    )


def _id_for_anthropics_clients() -> str:
    """Empty for others; of what Envoy answers itself, headgate/edge/replies.py takes care."""
    surface, surfaces = f"metadata.filter_metadata['{REQUEST}'].surface", list(ANTHROPIC_SURFACES)
    return f"%CEL({surface} in {surfaces} ? request.id : '')%"


def _specifier() -> ClusterSpecifierPlugin:
    return ClusterSpecifierPlugin(
        extension=extension(
            "envoy.router.cluster_specifier_plugin.priority_group",
            PriorityGroupClusterSpecifier(
                override_metadata_namespace=PLAN,
                priority_groups=[
                    PriorityGroup(name="none", clusters=[ClusterWeight(cluster_name=NO_TARGET_CLUSTER, weight=1)])
                ],
            ),
        )
    )


def _reasons(profile: RouteProfile) -> list[str]:
    """What envoy/module may find that makes the next attempt: always that a key out of several is refused, and
    that a replica has not loaded an adapter.
    """
    always = ["key", "permission", "adapter"] if profile.retry_on else []
    return always + [one for one in ("context_window",) if one in profile.retry_on]


def _retry_policy(profile: RouteProfile) -> RetryPolicy:
    conditions = [_RETRY_ON[condition] for condition in profile.retry_on if condition in _RETRY_ON]
    if profile.retry_on and _BY_HEADER not in conditions:
        conditions.append(_BY_HEADER)
    return RetryPolicy(
        retry_on=",".join(conditions),
        retriable_status_codes=[429] if "429" in profile.retry_on else [],
        retriable_headers=[
            HeaderMatcher(name=RETRY, string_match=StringMatcher(exact=reason)) for reason in _reasons(profile)
        ],
        # With hedging Envoy would take this for a reason to ask once more, and never end a silent attempt.
        per_try_idle_timeout=None if profile.hedges else seconds(profile.idle_s),
        num_retries=0,  # each plan sets x-envoy-max-retries: retries do not stop at the last group
        refresh_cluster_on_retry=True,
        retry_host_predicate=[another_host()],
        host_selection_retry_max_attempts=16,  # draws two hosts at a time: three would often miss the other one
        retry_back_off=RetryPolicyRetryBackOff(base_interval=seconds(0.025), max_interval=seconds(0.25)),
    )


def _route(profile: RouteProfile, buffer_bytes: int) -> Route:
    """`buffer_bytes`: how much of a body is kept for a further attempt."""
    return Route(
        name=profile.name,
        match=RouteMatch(
            prefix="/",
            headers=[HeaderMatcher(name=ROUTE_PROFILE, string_match=StringMatcher(exact=profile.name))],
        ),
        route=RouteAction(
            inline_cluster_specifier_plugin=_specifier(),
            timeout=seconds(profile.total_s),
            # Of the client's side; a provider's silence is the attempt's, or one would use up the next one's time.
            # Hedged attempts wait beside each other.
            idle_timeout=seconds((profile.idle_s if profile.hedges else profile.total_s) + profile.wait_s),
            retry_policy=_retry_policy(profile),
        ),
        request_body_buffer_limit=buffer_bytes,
    )


def _no_tunnels() -> Route:
    """CONNECT matches no other route; without one, Envoy would wait for the end of a body that has none."""
    return Route(
        name="connect",
        match=RouteMatch(connect_matcher=RouteMatchConnectMatcher()),
        direct_response=DirectResponseAction(status=404),
    )


def _too_large(max_body_bytes: int) -> Route:
    """For a body that announces itself as larger than a client may send: its arrival need not be waited for."""
    announced = Int64Range(start=max_body_bytes + 1, end=2**63 - 1)
    return Route(
        name="too-large",
        match=RouteMatch(prefix="/", headers=[HeaderMatcher(name="content-length", range_match=announced)]),
        direct_response=DirectResponseAction(status=413),
        typed_per_filter_config={
            "envoy.filters.http.buffer": pack(BufferPerRoute(disabled=True)),
            "envoy.filters.http.ext_proc": pack(ExtProcPerRoute(disabled=True)),
        },
    )


def _planned_meanwhile(buffer_bytes: int) -> Route:
    """For a request that began before a reload and was planned after it, with a profile that the reload brought.

    Envoy keeps a request to the routes that there were when it began. This one must not cut what the right one would
    let go on, so it has the longest times that gateway.yaml can ask for, and the usual conditions for retries.
    """
    usual = tuple(Model.model_fields["retry_on"].default)
    longest = RouteProfile("", usual, idle_s=MAX_DURATION_S, total_s=MAX_DURATION_S)
    route = _route(longest, buffer_bytes)
    route.name = "planned-meanwhile"
    route.match = RouteMatch(prefix="/", headers=[HeaderMatcher(name=ROUTE_PROFILE, present_match=True)])
    return route


def _unplanned() -> Route:
    """What a request has until its plan is there. It must not raise the buffer limit: a body that fills the limit
    while authz decides would never be refused, nor read on (seen with Envoy 1.40).
    """
    return Route(
        name="unplanned",
        match=RouteMatch(prefix="/"),
        route=RouteAction(inline_cluster_specifier_plugin=_specifier(), timeout=seconds(30)),
    )
