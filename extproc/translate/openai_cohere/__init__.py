"""Clients of OpenAI's chat completions, embeddings and rankings on providers with Cohere's API (v2). Pure."""

from typing import Any

import msgspec

from extproc.translate.chat import Beyond
from extproc.translate.chat_parameters import lowered_limit
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere.answer import chat_completion
from extproc.translate.openai_cohere.embeddings import EmbeddingsToCohere
from extproc.translate.openai_cohere.request import translated
from extproc.translate.openai_cohere.rerank import RerankToCohere
from extproc.translate.openai_cohere.stream import ChunkDecoder

__all__ = ["EmbeddingsToCohere", "OpenAIToCohere", "RerankToCohere", "beyond_cohere"]

_ANY_TARGET = Target("", "")


class OpenAIToCohere:
    """The direction. Some of what Cohere takes depends on the model."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Cohere's API, or the target's model, cannot do. Raises BadRequest."""
        try:
            return translated(body, target)[1].unsupported
        except RecursionError as error:
            raise refuse_unencodable(error) from None

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to POST /v2/chat. `dropped` also names what the answer does not depend on."""
        try:
            made, notes = translated(body, target)
            named = (*notes.unsupported, *notes.left_out)
            return ProviderRequest(
                "/chat", msgspec.json.encode(made), dropped=named, max_tokens=lowered_limit(body, target)
            )
        except (UnicodeEncodeError, RecursionError) as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as a chat completion; a client that sent `functions` is told of one call."""
        return chat_completion(body, known)

    def stream(self, known: Known) -> ChunkDecoder:
        """A decoder that makes chat completion chunks."""
        return ChunkDecoder(known)


def beyond_cohere(_: Target) -> Beyond:
    """What Cohere takes that OpenAI's API does not have."""
    return Beyond("words")
