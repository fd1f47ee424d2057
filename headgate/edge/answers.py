"""The translation of streams, in front of the router: for answers that envoy/module has marked, no others."""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import GrpcService, GrpcServiceEnvoyGrpc, HeaderValue
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.common.matcher.action.v3 import SkipFilter
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    HeaderForwardingRules,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.type.matcher.v3 import HttpResponseHeaderMatchInput, ListStringMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
)
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as XdsStringMatcher

from headgate.contract import ANSWER_ROLE, ATTEMPT, FILTERS_CLUSTER, REQUEST, ROLE, TRANSLATE
from headgate.edge.messages import extension, pack, seconds

MESSAGE_TIMEOUT_S = 5.0  # of a worker that hangs


def translated_answers() -> ExtensionWithMatcher:
    """Skips the call for heads without the mark."""
    mark = HttpResponseHeaderMatchInput(header_name=TRANSLATE)
    is_marked = MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=XdsExtension(name="mark", typed_config=pack(mark)), value_match=XdsStringMatcher(exact="1")
        )
    )
    return ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.ext_proc", _ext_proc()),
        xds_matcher=Matcher(
            matcher_list=MatcherMatcherList(
                matchers=[
                    MatcherMatcherListFieldMatcher(
                        predicate=MatcherMatcherListPredicate(not_matcher=is_marked),
                        on_match=MatcherOnMatch(action=XdsExtension(name="skip", typed_config=pack(SkipFilter()))),
                    )
                ]
            )
        ),
    )


def _ext_proc() -> ExternalProcessor:
    """Served by extproc/attempts.py; the answer goes through it to its end."""
    none, skip = ProcessingModeBodySendMode.NONE, ProcessingModeHeaderSendMode.SKIP
    return ExternalProcessor(
        grpc_service=GrpcService(
            envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=FILTERS_CLUSTER),
            initial_metadata=[HeaderValue(key=ROLE, value=ANSWER_ROLE)],
        ),
        stat_prefix="answer",
        message_timeout=seconds(MESSAGE_TIMEOUT_S),
        failure_mode_allow=False,
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
        processing_mode=ProcessingMode(
            request_header_mode=skip,
            request_body_mode=none,
            request_trailer_mode=skip,
            response_header_mode=ProcessingModeHeaderSendMode.SEND,
            response_body_mode=ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED,
            response_trailer_mode=ProcessingModeHeaderSendMode.SEND,
        ),
        forward_rules=HeaderForwardingRules(
            allowed_headers=ListStringMatcher(
                patterns=[StringMatcher(exact=name) for name in (":status", "content-type", "content-encoding")]
            )
        ),
        mutation_rules=HeaderMutationRules(allow_envoy=True),
        metadata_options=MetadataOptions(
            forwarding_namespaces=MetadataOptionsMetadataNamespaces(untyped=[REQUEST, ATTEMPT])
        ),
    )
