"""The translation of streams, in front of the router: for answers that envoy/module has marked, no others."""

from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.type.matcher.v3 import HttpResponseHeaderMatchInput
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
)
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as XdsStringMatcher

from headgate.contract import ANSWER_ROLE, ATTEMPT, REQUEST, TRANSLATE
from headgate.edge.asking import processor
from headgate.edge.messages import pack
from headgate.edge.on_match import asked_if


def translated_answers() -> ExtensionWithMatcher:
    """Asked for heads with the mark."""
    mark = HttpResponseHeaderMatchInput(header_name=TRANSLATE)
    is_marked = MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=XdsExtension(name="mark", typed_config=pack(mark)), value_match=XdsStringMatcher(exact="1")
        )
    )
    return asked_if(is_marked, _ext_proc())


def _ext_proc() -> ExternalProcessor:
    """Served by extproc/attempts.py; the answer goes through it to its end."""
    mode = ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=ProcessingModeBodySendMode.NONE,
        request_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
        response_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_body_mode=ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED,
        response_trailer_mode=ProcessingModeHeaderSendMode.SEND,
    )
    headers = (":status", "content-type", "content-encoding")
    return processor(mode, headers=headers, reads=[REQUEST, ATTEMPT], writes=[], role=ANSWER_ROLE)
