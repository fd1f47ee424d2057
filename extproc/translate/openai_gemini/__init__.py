"""Clients of OpenAI's chat completions and embeddings on providers with Gemini's API (v1beta). Pure."""

from typing import Any

import msgspec

from extproc.translate.chat import Beyond
from extproc.translate.chat_parameters import lowered_limit
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_gemini.answer import chat_completion
from extproc.translate.openai_gemini.embeddings import EmbeddingsToGemini
from extproc.translate.openai_gemini.models import abilities_of
from extproc.translate.openai_gemini.path import method_path
from extproc.translate.openai_gemini.request import translated
from extproc.translate.openai_gemini.stream import ChunkDecoder

__all__ = ["EmbeddingsToGemini", "OpenAIToGemini", "beyond_gemini"]

_ANY_TARGET = Target("", "")


class OpenAIToGemini:
    """The direction. Some of what Gemini takes depends on the model."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Gemini's API, or the target's model, cannot do. Raises BadRequest."""
        try:
            return translated(body, target)[1].unsupported
        except RecursionError as error:
            raise refuse_unencodable(error) from None

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to the model's generateContent. `dropped` also names what the answer does not depend on."""
        try:
            made, notes = translated(body, target)
            method = "streamGenerateContent?alt=sse" if body.get("stream") else "generateContent"
            named = (*notes.unsupported, *notes.left_out)
            path = method_path(target.model, method)
            return ProviderRequest(
                path, msgspec.json.encode(made), dropped=named, max_tokens=lowered_limit(body, target)
            )
        except (UnicodeEncodeError, RecursionError) as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as a chat completion; a client that sent `functions` is told of one call."""
        return chat_completion(body, known)

    def stream(self, known: Known) -> ChunkDecoder:
        """A decoder that makes chat completion chunks."""
        return ChunkDecoder(known)


def beyond_gemini(target: Target) -> Beyond:
    """What the target's model takes that OpenAI's API does not have."""
    return Beyond("signatures", media_results=abilities_of(target.model).media_results)
