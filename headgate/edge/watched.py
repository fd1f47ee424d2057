"""The watch of answers whose responses their providers keep: for requests whose plan asks for it, no others.

Of a good answer it sees the head and the first pieces, until it knows the response's id, and then leaves: no more
than that waits for anybody. If nobody answers, the answer goes on.
"""

from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import (
    DynamicMetadataInput,
    DynamicMetadataInputPathSegment,
)
from envoy_data_plane.envoy.extensions.matching.input_matchers.metadata.v3 import Metadata as MetadataMatch
from envoy_data_plane.envoy.type.matcher.v3 import HttpResponseHeaderMatchInput, StringMatcher, ValueMatcher
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicatePredicateList,
    MatcherMatcherListPredicateSinglePredicate,
)
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as XdsStringMatcher

from headgate.contract import AUTHZ, REQUEST, TARGET, UPSTREAM_ADDRESS, WATCH_ROLE
from headgate.edge.asking import processor
from headgate.edge.messages import pack, seconds
from headgate.edge.on_match import asked_if

TIMEOUT_S = 1.0  # of one message: the worker itself waits no longer than a quarter of that


def watched_answers() -> ExtensionWithMatcher:
    """Asked where the plan names somebody that keeps responses, and the answer is good."""
    is_watched = MatcherMatcherListPredicate(
        and_matcher=MatcherMatcherListPredicatePredicateList(predicate=[_is_kept(), _is_good()])
    )
    return asked_if(is_watched, _ext_proc())


def _is_kept() -> MatcherMatcherListPredicate:
    named = DynamicMetadataInput(filter=REQUEST, path=[DynamicMetadataInputPathSegment(key="watch")])
    somebody = MetadataMatch(value=ValueMatcher(string_match=StringMatcher(prefix=",")))
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=XdsExtension(name="watch", typed_config=pack(named)),
            custom_match=XdsExtension(name="envoy.matching.matchers.metadata_matcher", typed_config=pack(somebody)),
        )
    )


def _is_good() -> MatcherMatcherListPredicate:
    status = HttpResponseHeaderMatchInput(header_name=":status")
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=XdsExtension(name="status", typed_config=pack(status)), value_match=XdsStringMatcher(exact="200")
        )
    )


def _ext_proc() -> ExternalProcessor:
    """Served by extproc/watch.py. STREAMED: Envoy keeps the pieces that it has sent, and lets them go when the call
    ends, however it does."""
    mode = ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=ProcessingModeBodySendMode.NONE,
        request_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
        response_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_body_mode=ProcessingModeBodySendMode.STREAMED,
        response_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
    )
    headers = (":status", "content-type", "content-encoding", TARGET)
    call = processor(mode, headers=headers, reads=[REQUEST, AUTHZ], writes=[], role=WATCH_ROLE)
    call.response_attributes = [UPSTREAM_ADDRESS]
    call.failure_mode_allow = True
    call.message_timeout = seconds(TIMEOUT_S)
    return call
