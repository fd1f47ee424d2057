"""What Envoy itself answers, in the error shape of the client's API: one table, rendered for each.

Our own servers' refusals pass through here too (ext_authz and ext_proc answer by local reply); they are marked in
dynamic metadata and keep the body that they came with. Texts name what to do, never an internal address.
"""

from collections.abc import Callable
from dataclasses import dataclass

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    ExtensionFilter,
    HeaderFilter,
    MetadataFilter,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import DataSource, RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    StringMatcher,
    ValueMatcher,
)
from envoy_data_plane.google.protobuf import Struct

from headgate.contract import (
    ADMIN_MARK,
    ANSWERED,
    ATTEMPT,
    AUTHZ,
    ERROR_SOURCE,
    FOR_ADMIN,
    FOR_USAGE,
    LIMITER,
    MAX_ADMIN_BODY_BYTES,
    REQUEST,
    WEBSOCKET_ROUTE,
)
from headgate.edge.messages import pack, set_header
from headgate.error_shapes import (
    ADMIN_PATHS,
    ANTHROPIC_REQUEST_ID,
    ANTHROPIC_SURFACES,
    MESSAGES_PATH,
    MODELS_PATH,
    VERSION_HEADER,
    Api,
    Problem,
    content_type_of,
    error_object,
)

# Response flags: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
_UNREACHABLE = ["UH", "UF", "UO", "NC", "DF", "LH"]
_BROKEN = ["UC", "UR", "LR", "UPE"]
_TIMED_OUT = ["UT", "SI", "DT", "UMSDR"]
# https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details
_OVERLOADED = "overload"
_AGAIN_S = 2  # by then it is known of a provider's endpoints, or an engine's replicas, which ones are away

# Cut: a request that is refused before it has an id of ours may have brought one of any length.
_REQUEST_ID = "%REQ(X-REQUEST-ID):36%"


def _status(code: int, op: ComparisonFilterOp = ComparisonFilterOp.EQ) -> AccessLogFilter:
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(
            comparison=ComparisonFilter(
                op=op,
                value=RuntimeUInt32(default_value=code, runtime_key=f"headgate.replies.{code}"),
            )
        )
    )


def _flags(flags: list[str]) -> AccessLogFilter:
    return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=flags))


def _details(details: str) -> AccessLogFilter:
    return _true(f'response.code_details == "{details}"')


def _on_route(name: str) -> AccessLogFilter:
    return _true(f'xds.route_name == "{name}"')


def _true(text: str) -> AccessLogFilter:
    expression = ExpressionFilter(expression=text)
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=pack(expression)
        )
    )


def _metadata(namespace: str, key: str, value: ValueMatcher, *, missing: bool = False) -> AccessLogFilter:
    """Matches a value in dynamic metadata; `missing`: the answer where there is none."""
    matcher = MetadataMatcher(filter=namespace, path=[MetadataMatcherPathSegment(key=key)], value=value)
    return AccessLogFilter(metadata_filter=MetadataFilter(matcher=matcher, match_if_key_not_found=missing))


def _answered_by(namespace: str) -> AccessLogFilter:
    """Matches replies that one of our servers made: they set `answered` in their metadata."""
    return _metadata(namespace, ANSWERED, ValueMatcher(bool_match=True))


def _unplanned() -> AccessLogFilter:
    """Matches requests that got no plan: trailers without a body, which HTTP/2 allows, pass ext_proc unasked."""
    return _metadata(REQUEST, "endpoint", _text("none"), missing=True)


def _text(pattern: str) -> ValueMatcher:
    return ValueMatcher(string_match=_regex(pattern))


def _regex(pattern: str) -> StringMatcher:
    return StringMatcher(safe_regex=RegexMatcher(regex=pattern))


def _header(name: str, pattern: str = ".+") -> AccessLogFilter:
    header = HeaderMatcher(name=name, string_match=_regex(pattern))
    return AccessLogFilter(header_filter=HeaderFilter(header=header))


def _all(*filters: AccessLogFilter) -> AccessLogFilter:
    return AccessLogFilter(and_filter=AndFilter(filters=list(filters)))


def _any(*filters: AccessLogFilter) -> AccessLogFilter:
    return AccessLogFilter(or_filter=OrFilter(filters=list(filters)))


def _from_anthropics_client() -> AccessLogFilter:
    """By its path while it has no surface: after that, an attempt may have put a provider's path in its place."""
    asked = _any(_header(":path", MESSAGES_PATH), _all(_header(VERSION_HEADER), _header(":path", MODELS_PATH)))
    return _any(
        _metadata(REQUEST, "surface", _text("|".join(ANTHROPIC_SURFACES))),
        _all(_metadata(REQUEST, "surface", _text("models"), missing=True), asked),
    )


def _for_admin() -> AccessLogFilter:
    """By Envoy's mark or, before the filters have put it there, by the path: a provider's may be like it."""
    return _any(_header(ADMIN_MARK, FOR_ADMIN), _all(_unplanned(), _header(":path", ADMIN_PATHS)))


def _about_usage() -> AccessLogFilter:
    """By Envoy's mark alone: before it, OpenAI's replies have nothing to say of providers."""
    return _header(ADMIN_MARK, FOR_USAGE)


@dataclass(frozen=True, slots=True)
class _Reply:
    """What clients are told when `matches`; without a status, Envoy's own stays."""

    matches: AccessLogFilter
    status: int | None
    message: str
    kind: str
    code: str
    source: str = "gateway"


def _replies(max_body_bytes: int) -> list[_Reply]:
    """The first one that matches decides; the last one catches everything else."""
    client, server = "invalid_request_error", "server_error"
    return [
        _Reply(  # envoy/module/attempt.c found no key to send
            _metadata(ATTEMPT, "keyless", ValueMatcher(bool_match=True)),
            503,
            "The gateway has no credential for the model's provider.",
            server,
            "provider_credential_missing",
        ),
        _Reply(
            _all(_flags([*_UNREACHABLE, *_BROKEN]), _on_route(WEBSOCKET_ROUTE)),
            503,
            "The gateway takes no WebSocket connections right now. Retry after a short wait.",
            server,
            "gateway_unavailable",
        ),
        _Reply(
            _flags(_TIMED_OUT),
            504,
            "The model's provider did not answer in time.",
            "timeout",
            "provider_timeout",
            source="provider",
        ),
        _Reply(
            _all(_flags(["UH"]), _unplanned()),
            400,
            "The request has no body; send a JSON object.",
            client,
            "invalid_json",
        ),
        _Reply(
            _flags(_UNREACHABLE),
            503,
            "The model's provider could not be reached. Retry after a short wait.",
            server,
            "provider_unreachable",
            source="provider",
        ),
        _Reply(
            _flags(_BROKEN),
            503,
            "The model's provider closed the connection before it answered. Retry after a short wait.",
            server,
            "provider_disconnected",
            source="provider",
        ),
        _Reply(
            _status(413),
            413,
            f"The request body is larger than the {max_body_bytes} bytes that this gateway accepts.",
            client,
            "request_too_large",
        ),
        *_of_any_api(),
        # Anything else that Envoy refuses (403 for an upgrade): without a source it would look like a provider's.
        _Reply(
            _status(400, ComparisonFilterOp.GE), None, "The gateway refused the request.", client, "gateway_refused"
        ),
    ]


def _of_any_api() -> list[_Reply]:
    """What has to do with no provider and with no limit of its own."""
    client, server = "invalid_request_error", "server_error"
    return [
        _Reply(
            _details(_OVERLOADED),
            503,
            "The gateway is short of memory and takes no new requests right now. Retry after a short wait.",
            server,
            "gateway_overloaded",
        ),
        _Reply(
            _status(431),
            431,
            "The request's headers are larger than this gateway accepts.",
            client,
            "headers_too_large",
        ),
        _Reply(_status(408), 408, "The request did not arrive completely in time.", client, "request_timeout"),
        _Reply(  # 501: a transfer coding that nobody knows
            _any(_status(400), _status(501)), 400, "The request is not valid HTTP.", client, "bad_request"
        ),
        _Reply(_status(404), 404, "There is nothing at this address.", client, "unknown_url"),
        _Reply(  # 504: a filter worker that took too long; providers' have a flag
            _any(_status(503), _status(504)),
            503,
            "The gateway cannot decide on requests right now. Retry after a short wait.",
            server,
            "gateway_unavailable",
        ),
        _Reply(
            _status(500),
            500,
            "The gateway failed to handle the request. Retry, then report the request id.",
            server,
            "gateway_error",
        ),
    ]


def _admin_replies() -> list[_Reply]:
    """The same for the admin API: what is away there is ours, and it may be open whether something was done."""
    client, server = "invalid_request_error", "server_error"
    again = "Whether the change was made is open: look, or ask again with the same Idempotency-Key."
    return [
        _Reply(_flags(_TIMED_OUT), 504, f"The admin API did not answer in time. {again}", server, "control_timeout"),
        _Reply(
            _flags(_UNREACHABLE),
            503,
            "The admin API takes no requests right now; requests for models are answered. Retry after a short wait.",
            server,
            "control_unavailable",
        ),
        _Reply(
            _flags(_BROKEN),
            503,
            f"The admin API closed the connection before it answered. {again}",
            server,
            "control_disconnected",
        ),
        _Reply(
            _status(413),
            413,
            f"The body is larger than the {MAX_ADMIN_BODY_BYTES} bytes that the admin API accepts.",
            client,
            "body_too_large",
        ),
        _Reply(_status(403), 403, "The gateway refused the request.", client, "gateway_refused"),
        *_of_any_api(),
        _Reply(
            _status(400, ComparisonFilterOp.GE), 400, "The gateway refused the request.", client, "gateway_refused"
        ),
    ]


def _usage_replies() -> list[_Reply]:
    """The same for what is asked about usage: nothing is changed there, and OpenAI's clients ask."""
    client, server = "invalid_request_error", "server_error"
    return [
        _Reply(_flags(_TIMED_OUT), 504, "The gateway did not find the usage in time.", "timeout", "usage_timeout"),
        _Reply(
            _flags([*_UNREACHABLE, *_BROKEN]),
            503,
            "The gateway can't say what is used right now; models answer. Retry after a short wait.",
            server,
            "control_unavailable",
        ),
        _Reply(
            _status(413),
            413,
            f"The request body is larger than {MAX_ADMIN_BODY_BYTES} bytes; none is needed here.",
            client,
            "request_too_large",
        ),
        *_of_any_api(),
    ]


def _json(api: Api, reply: _Reply) -> SubstitutionFormatString:
    problem = Problem(reply.status or 400, reply.message, reply.kind, code=reply.code)
    error = error_object(api, problem, _REQUEST_ID)
    return SubstitutionFormatString(json_format=Struct.from_dict(error), content_type=content_type_of(api))


def _as_they_are(api: Api) -> SubstitutionFormatString:
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string="%LOCAL_REPLY_BODY%"), content_type=content_type_of(api)
    )


def _mappers(
    api: Api, replies: list[_Reply], asked: Callable[[], AccessLogFilter] | None = None
) -> list[ResponseMapper]:
    """For one API's clients: what our servers answered, as they wrote it, then what Envoy has to say itself."""
    anthropic = api == "anthropic"
    # Anthropic's SDKs know a request by this header.
    known_by = [set_header(ANTHROPIC_REQUEST_ID, _REQUEST_ID)] if anthropic else []
    again = set_header("retry-after", str(_AGAIN_S))

    def told(matches: AccessLogFilter) -> AccessLogFilter:
        return _all(matches, asked()) if asked else matches

    return [
        *(
            ResponseMapper(
                filter=told(_answered_by(namespace)), headers_to_add=known_by, body_format_override=_as_they_are(api)
            )
            for namespace in (AUTHZ, REQUEST, LIMITER, ATTEMPT)
        ),
        *(
            ResponseMapper(
                filter=told(reply.matches),
                status_code=reply.status,
                body_format_override=_json(api, reply),
                headers_to_add=[
                    set_header(ERROR_SOURCE, reply.source),
                    *([again] if (reply.source, reply.status) == ("provider", 503) else []),
                    *known_by,
                ],
            )
            for reply in replies
        ),
    ]


def local_replies(max_body_bytes: int) -> LocalReplyConfig:
    """Whoever asks neither the admin API nor as Anthropic's clients do is answered as OpenAI's clients are."""
    replies = _replies(max_body_bytes)
    return LocalReplyConfig(
        mappers=[
            *_mappers("admin", _admin_replies(), _for_admin),
            *_mappers("openai", _usage_replies(), _about_usage),
            *_mappers("anthropic", replies, _from_anthropics_client),
            *_mappers("openai", replies),
        ],
        body_format=_json("openai", replies[-1]),
    )
