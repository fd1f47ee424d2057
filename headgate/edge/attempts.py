"""What happens to one attempt in its provider's cluster: upstream filters, in the order of a request.

Headers that these filters change stay changed for the attempts that follow; the body each attempt gets is the one
that was planned.
"""

from collections.abc import Iterable

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import (
    HeaderMutation,
    HeaderMutationRemoveOnMatch,
)
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import (
    DynamicMetadataInput,
    DynamicMetadataInputPathSegment,
)
from envoy_data_plane.envoy.extensions.matching.input_matchers.metadata.v3 import Metadata as MetadataMatch
from envoy_data_plane.envoy.type.matcher.v3 import (
    HttpRequestHeaderMatchInput,
    StringMatcher,
    ValueMatcher,
)
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicatePredicateList,
    MatcherMatcherListPredicateSinglePredicate,
)
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as XdsStringMatcher

from headgate.config.model import MAX_ATTEMPTS, Provider
from headgate.contract import ATTEMPT, ATTEMPT_ROLE, DROPPED, INPUT_TOKENS, LEFT, REQUEST, REQUEST_ID
from headgate.edge.asking import processor
from headgate.edge.attempt_config import attempt_config
from headgate.edge.filters import module_filter
from headgate.edge.messages import pack, set_header
from headgate.edge.on_match import asked_unless
from headgate.edge.signing import request_signing

# Answers' headers that only the gateway may send, and those that are about its account and the provider's machines.
_OURS = ("x-envoy-", "x-headgate-")
_LIMITS = ("x-ratelimit-", "anthropic-")
_AMAZONS = ("x-amz-", "x-amzn-requestid", "x-amzn-trace", "x-amzn-bedrock-cache", "x-amzn-bedrock-invocation",
            "x-amzn-bedrock-output")  # fmt: skip
_ITS_OWN = {
    "azure": ("apim-", "azureml-", "x-ms-"),
    "gemini": ("x-gemini-", "x-goog-"),
    "bedrock": _AMAZONS,
    "cohere": ("num_chars", "num_tokens", "x-api-warning", "x-debug-trace-id", "x-endpoint-", "x-trial-"),
}

# How providers say what is left of their limits: https://platform.openai.com/docs/guides/rate-limits, likewise Azure,
# Groq and others; https://platform.claude.com/docs/en/api/rate-limits. Engines of one's own say nothing.
_REQUESTS, _TOKENS = "requests", "tokens"
_SAYS = {
    "openai": ("x-ratelimit-{1}-{0}", (_REQUESTS, _TOKENS)),
    "anthropic": ("anthropic-ratelimit-{0}-{1}", (_REQUESTS, _TOKENS, "input-tokens", "output-tokens")),
}


def attempt_filters(cluster: str, provider: Provider, key: str | None = None) -> list[HttpFilter]:
    """Make the request this provider's, its credential included, and send; make the answer the client's.

    `key` is the name of the credential where the provider has several.
    """
    told = attempt_config(cluster, provider, key, counted=says_what_is_left(provider))
    return [
        HttpFilter(name="headgate.translate", typed_config=pack(_translation())),
        # An answer passes it behind `attempt`, which makes errors of what is none.
        HttpFilter(name="headgate.hold", typed_config=pack(module_filter("hold"))),
        HttpFilter(name="headgate.attempt", typed_config=pack(module_filter("attempt", told))),
        HttpFilter(name="headgate.answer", typed_config=pack(_unforged_answer(provider))),
        *_signature(cluster, provider),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=pack(UpstreamCodec())),
    ]


def _signature(cluster: str, provider: Provider) -> list[HttpFilter]:
    if not provider.is_signed:
        return []
    return [HttpFilter(name="headgate.sign", typed_config=pack(request_signing(cluster, provider)))]


def _translation() -> ExtensionWithMatcher:
    """Asked unless the attempt's body is right as it is: the plan numbers those attempts."""
    return asked_unless(map(_is_direct, range(1, MAX_ATTEMPTS + 1)), _ext_proc())


def _is_direct(number: int) -> MatcherMatcherListPredicate:
    count = HttpRequestHeaderMatchInput(header_name="x-envoy-attempt-count")
    direct = DynamicMetadataInput(filter=REQUEST, path=[DynamicMetadataInputPathSegment(key="direct")])
    named = MetadataMatch(value=ValueMatcher(string_match=StringMatcher(contains=f",{number},")))
    return MatcherMatcherListPredicate(
        and_matcher=MatcherMatcherListPredicatePredicateList(
            predicate=[
                MatcherMatcherListPredicate(
                    single_predicate=MatcherMatcherListPredicateSinglePredicate(
                        input=XdsExtension(name="attempt", typed_config=pack(count)),
                        value_match=XdsStringMatcher(exact=str(number)),
                    )
                ),
                MatcherMatcherListPredicate(
                    single_predicate=MatcherMatcherListPredicateSinglePredicate(
                        input=XdsExtension(name="direct", typed_config=pack(direct)),
                        custom_match=XdsExtension(
                            name="envoy.matching.matchers.metadata_matcher", typed_config=pack(named)
                        ),
                    )
                ),
            ]
        )
    )


def _ext_proc() -> ExternalProcessor:
    """Served by extproc/attempts.py. It closes the call with the request unless a whole answer has to be translated.

    Answers of streams are not for upstream filters: Envoy 1.40 dies of a piece that is put in after the provider's
    last one and takes the client's connection over its buffer limit.
    """
    mode = ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        request_body_mode=ProcessingModeBodySendMode.BUFFERED,
        request_trailer_mode=ProcessingModeHeaderSendMode.SKIP,
        response_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_body_mode=ProcessingModeBodySendMode.FULL_DUPLEX_STREAMED,
        response_trailer_mode=ProcessingModeHeaderSendMode.SEND,
    )
    headers = (REQUEST_ID, "x-envoy-attempt-count", ":status", "content-type", "content-encoding", INPUT_TOKENS)
    return processor(mode, headers=headers, reads=[REQUEST], writes=[ATTEMPT], role=ATTEMPT_ROLE)


def _unforged_answer(provider: Provider) -> HeaderMutationFilter:
    """Takes out of a provider's answer what only the gateway may say, and what is about our account there.

    Says what the attempt was sent without, where a preset may have taken something out, or responses that were
    translated have left something to take out, and nothing is translated. Says to `attempt` what is left of
    the account's limits.
    """
    taken = [HeaderMutation(append=set_header(DROPPED, f"%DYNAMIC_METADATA({REQUEST}:dropped)%"))]
    left = [HeaderMutation(append=set_header(LEFT, _left(provider)))] if says_what_is_left(provider) else []
    return HeaderMutationFilter(
        mutations=Mutations(
            response_mutations=[
                *_without(_OURS),
                *left,
                *_without((*_LIMITS, *_ITS_OWN.get(provider.api, ()))),
                *(taken if provider.preset or provider.speaks_responses else []),
            ]
        )
    )


def _without(prefixes: Iterable[str]) -> list[HeaderMutation]:
    matchers = [StringMatcher(prefix=prefix, ignore_case=True) for prefix in prefixes]
    return [HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=matcher)) for matcher in matchers]


def says_what_is_left(provider: Provider) -> bool:
    """Whether its answers may say what is left of the limits of our account there."""
    return provider.base_url is not None and provider.family in _SAYS


def _left(provider: Provider) -> str:
    """`requests=LIMIT,LEFT,RESET;tokens=…`, for `attempt`."""
    name, kinds = _SAYS[provider.family]
    return ";".join(
        f"{kind}=" + ",".join(f"%RESP({name.format(kind, what)}):40%" for what in ("limit", "remaining", "reset"))
        for kind in kinds
    )
