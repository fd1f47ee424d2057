"""What Envoy itself answers, in the error shape of the client's API: one table, rendered for each.

Our own servers' refusals pass through here too (ext_authz and ext_proc answer by local reply); they are marked in
dynamic metadata and keep the body that they came with. Texts name what to do, never an internal address.
"""

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

from headgate.contract import ANSWERED, ATTEMPT, AUTHZ, ERROR_SOURCE, LIMITER, REQUEST
from headgate.edge.messages import pack, set_header
from headgate.error_shapes import (
    ANTHROPIC_REQUEST_ID,
    ANTHROPIC_SURFACES,
    MESSAGES_PATH,
    MODELS_PATH,
    VERSION_HEADER,
    Api,
    Problem,
    error_object,
)

# Response flags: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
_UNREACHABLE = ["UH", "UF", "UO", "NC", "DF", "LH"]
_BROKEN = ["UC", "UR", "LR", "UPE"]
_TIMED_OUT = ["UT", "SI", "DT", "UMSDR"]
# https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details
_OVERLOADED = "overload"

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
    expression = ExpressionFilter(expression=f'response.code_details == "{details}"')
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
            _details(_OVERLOADED),
            503,
            "The gateway is short of memory and takes no new requests right now. Retry after a short wait.",
            server,
            "gateway_overloaded",
        ),
        _Reply(
            _status(413),
            413,
            f"The request body is larger than the {max_body_bytes} bytes that this gateway accepts.",
            client,
            "request_too_large",
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
        # Anything else that Envoy refuses (403 for an upgrade): without a source it would look like a provider's.
        _Reply(
            _status(400, ComparisonFilterOp.GE), None, "The gateway refused the request.", client, "gateway_refused"
        ),
    ]


def _json(api: Api, reply: _Reply) -> SubstitutionFormatString:
    problem = Problem(reply.status or 400, reply.message, reply.kind, code=reply.code)
    error = error_object(api, problem, _REQUEST_ID)
    return SubstitutionFormatString(json_format=Struct.from_dict(error), content_type="application/json")


def _as_they_are() -> SubstitutionFormatString:
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string="%LOCAL_REPLY_BODY%"), content_type="application/json"
    )


def _mappers(api: Api, replies: list[_Reply]) -> list[ResponseMapper]:
    """For one API's clients: what our servers answered, as they wrote it, then what Envoy has to say itself."""
    anthropic = api == "anthropic"
    # Anthropic's SDKs know a request by this header.
    known_by = [set_header(ANTHROPIC_REQUEST_ID, _REQUEST_ID)] if anthropic else []

    def told(matches: AccessLogFilter) -> AccessLogFilter:
        return _all(matches, _from_anthropics_client()) if anthropic else matches

    return [
        *(
            ResponseMapper(
                filter=told(_answered_by(namespace)), headers_to_add=known_by, body_format_override=_as_they_are()
            )
            for namespace in (AUTHZ, REQUEST, LIMITER, ATTEMPT)
        ),
        *(
            ResponseMapper(
                filter=told(reply.matches),
                status_code=reply.status,
                body_format_override=_json(api, reply),
                headers_to_add=[set_header(ERROR_SOURCE, reply.source), *known_by],
            )
            for reply in replies
        ),
    ]


def local_replies(max_body_bytes: int) -> LocalReplyConfig:
    """Anthropic's clients first: whoever is not one of them is answered as OpenAI's are."""
    replies = _replies(max_body_bytes)
    return LocalReplyConfig(
        mappers=[*_mappers("anthropic", replies), *_mappers("openai", replies)],
        body_format=_json("openai", replies[-1]),
    )
