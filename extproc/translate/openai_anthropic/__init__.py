"""Clients of OpenAI's chat completions on providers with Anthropic's Messages API. Pure."""

from typing import Any

import msgspec

from extproc.translate.chat_parameters import lowered_limit
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.answer import chat_completion
from extproc.translate.openai_anthropic.request import DEFAULT_MAX_TOKENS, translated
from extproc.translate.openai_anthropic.stream import ChunkDecoder

__all__ = ["DEFAULT_MAX_TOKENS", "OpenAIToAnthropic"]

# The version that every model and every engine with this API takes, and the last with temperature and top_p.
_HEADERS = (("anthropic-version", "2023-06-01"),)


_ANY_TARGET = Target("", "")


class OpenAIToAnthropic:
    """The direction. Some of what Anthropic takes depends on the model."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Anthropic's API, or the target's model, cannot do. Raises BadRequest."""
        try:
            return translated(body, target)[1].unsupported
        except RecursionError as error:
            raise refuse_unencodable(error) from None

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to POST /v1/messages. `dropped` also names what the answer does not depend on."""
        try:
            made, notes = translated(body, target)
            named = (*notes.unsupported, *notes.left_out)
            sent = msgspec.json.encode(made)
            return ProviderRequest("/messages", sent, _HEADERS, named, lowered_limit(body, target))
        except (UnicodeEncodeError, RecursionError) as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as a chat completion; a client that sent `functions` is told of one call."""
        return chat_completion(body, known)

    def stream(self, known: Known) -> ChunkDecoder:
        """A decoder that makes chat completion chunks."""
        return ChunkDecoder(known)
