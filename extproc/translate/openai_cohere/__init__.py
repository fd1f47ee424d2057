"""Clients of OpenAI's chat completions and embeddings on providers with Cohere's API (v2). Pure."""

from typing import Any

import msgspec

from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.request import limit_of, refuse_unencodable
from extproc.translate.openai_cohere.answer import chat_completion
from extproc.translate.openai_cohere.embeddings import EmbeddingsToCohere
from extproc.translate.openai_cohere.request import most_of, translated
from extproc.translate.openai_cohere.stream import ChunkDecoder

__all__ = ["EmbeddingsToCohere", "OpenAIToCohere"]

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
            limit, asked = most_of(body, target), limit_of(body)
            lowered = limit if limit and asked and limit < asked else None
            named = (*notes.unsupported, *notes.left_out)
            return ProviderRequest("/chat", msgspec.json.encode(made), dropped=named, max_tokens=lowered)
        except (UnicodeEncodeError, RecursionError) as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as a chat completion; a client that sent `functions` is told of one call."""
        return chat_completion(body, known)

    def stream(self, known: Known) -> ChunkDecoder:
        """A decoder that makes chat completion chunks."""
        return ChunkDecoder(known)
