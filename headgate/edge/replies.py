"""What Envoy itself answers, in OpenAI's error shape.

Our own servers' refusals pass through here too (ext_authz and ext_proc answer by local reply); they are marked in
dynamic metadata and keep the body that they came with. Texts name what to do, never an internal address.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    ExtensionFilter,
    MetadataFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import DataSource, RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    StringMatcher,
    ValueMatcher,
)
from envoy_data_plane.google.protobuf import Struct

from headgate.contract import ANSWERED, AUTHZ, ERROR_SOURCE, LIMITER, REQUEST
from headgate.edge.messages import pack, set_header

# Response flags: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
_UNREACHABLE = ["UH", "UF", "UO", "NC", "DF", "LH"]
_BROKEN = ["UC", "UR", "LR", "UPE"]
_TIMED_OUT = ["UT", "SI", "DT", "UMSDR"]
# https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details
_OVERLOADED = "overload"


def _body(message: str, kind: str, code: str) -> SubstitutionFormatString:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return SubstitutionFormatString(json_format=Struct.from_dict({"error": error}), content_type="application/json")


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


def _answered_by(namespace: str) -> AccessLogFilter:
    """Matches replies that one of our servers made: they set `answered` in their metadata."""
    return AccessLogFilter(
        metadata_filter=MetadataFilter(
            matcher=MetadataMatcher(
                filter=namespace,
                path=[MetadataMatcherPathSegment(key=ANSWERED)],
                value=ValueMatcher(bool_match=True),
            ),
            match_if_key_not_found=False,
        )
    )


def _unplanned() -> AccessLogFilter:
    """Matches requests that got no plan: trailers without a body, which HTTP/2 allows, pass ext_proc unasked."""
    return AccessLogFilter(
        metadata_filter=MetadataFilter(
            matcher=MetadataMatcher(
                filter=REQUEST,
                path=[MetadataMatcherPathSegment(key="endpoint")],
                value=ValueMatcher(string_match=StringMatcher(exact="none")),
            ),
            match_if_key_not_found=True,
        )
    )


def _reply(
    matches: AccessLogFilter,
    message: str,
    kind: str,
    code: str,
    *,
    status: int | None = None,
    source: str = "gateway",
) -> ResponseMapper:
    return ResponseMapper(
        filter=matches,
        status_code=status,
        body_format_override=_body(message, kind, code),
        headers_to_add=[set_header(ERROR_SOURCE, source)],
    )


def _kept(namespace: str) -> ResponseMapper:
    return ResponseMapper(
        filter=_answered_by(namespace),
        body_format_override=SubstitutionFormatString(
            text_format_source=DataSource(inline_string="%LOCAL_REPLY_BODY%"), content_type="application/json"
        ),
    )


def local_replies(max_body_bytes: int) -> LocalReplyConfig:
    """The first mapper that matches decides; the last one catches everything else."""
    client, server = "invalid_request_error", "server_error"
    too_large = f"The request body is larger than the {max_body_bytes} bytes that this gateway accepts."
    mappers = [
        _kept(AUTHZ),
        _kept(REQUEST),
        _kept(LIMITER),
        _reply(
            _flags(_TIMED_OUT),
            "The model's provider did not answer in time.",
            "timeout",
            "provider_timeout",
            status=504,
            source="provider",
        ),
        _reply(
            AccessLogFilter(and_filter=AndFilter(filters=[_flags(["UH"]), _unplanned()])),
            "The request has no body; send a JSON object.",
            client,
            "invalid_json",
            status=400,
        ),
        _reply(
            _flags(_UNREACHABLE),
            "The model's provider could not be reached. Retry after a short wait.",
            server,
            "provider_unreachable",
            source="provider",
        ),
        _reply(
            _flags(_BROKEN),
            "The model's provider closed the connection before it answered. Retry after a short wait.",
            server,
            "provider_disconnected",
            source="provider",
        ),
        _reply(
            _details(_OVERLOADED),
            "The gateway is short of memory and takes no new requests right now. Retry after a short wait.",
            server,
            "gateway_overloaded",
            status=503,
        ),
        _reply(_status(413), too_large, client, "request_too_large"),
        _reply(
            _status(431),
            "The request's headers are larger than this gateway accepts.",
            client,
            "headers_too_large",
        ),
        _reply(_status(408), "The request did not arrive completely in time.", client, "request_timeout"),
        *(  # 501: a transfer coding that nobody knows
            _reply(_status(status), "The request is not valid HTTP.", client, "bad_request", status=400)
            for status in (400, 501)
        ),
        _reply(_status(404), "There is nothing at this address.", client, "unknown_url"),
        *(
            _reply(
                _status(status),
                "The gateway cannot decide on requests right now. Retry after a short wait.",
                server,
                "gateway_unavailable",
                status=503,
            )
            for status in (503, 504)  # 504: a filter worker that took too long; providers' have a flag
        ),
        _reply(
            _status(500),
            "The gateway failed to handle the request. Retry, then report the request id.",
            server,
            "gateway_error",
        ),
        # Anything else that Envoy refuses (403 for an upgrade): without a source it would look like a provider's.
        _reply(_status(400, ComparisonFilterOp.GE), "The gateway refused the request.", client, "gateway_refused"),
    ]
    return LocalReplyConfig(
        mappers=mappers, body_format=_body("The gateway refused the request.", client, "gateway_refused")
    )
