"""Clients of OpenAI's chat completions and embeddings on Amazon Bedrock. Pure."""

from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat import Beyond
from extproc.translate.chat_parameters import lowered_limit
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_bedrock.answer import chat_completion
from extproc.translate.openai_bedrock.embeddings import EmbeddingsToBedrock
from extproc.translate.openai_bedrock.models import model_of
from extproc.translate.openai_bedrock.path import method_path
from extproc.translate.openai_bedrock.request import translated
from extproc.translate.openai_bedrock.stream import ChunkDecoder

__all__ = ["EmbeddingsToBedrock", "OpenAIToBedrock", "beyond_bedrock"]

_ANY_TARGET = Target("", "")


class OpenAIToBedrock:
    """The direction. Some of what Converse takes depends on the model."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Converse, or the target's model, cannot do. Raises BadRequest."""
        try:
            return translated(body, target)[1].unsupported
        except RecursionError as error:
            raise refuse_unencodable(error) from None

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to the model's Converse. `dropped` also names what the answer does not depend on."""
        try:
            made, notes = translated(body, target)
            if not made["messages"]:
                raise BadRequest("Nothing of what is asked can be sent to the provider.", param="messages")
            path = method_path(target.model, "converse-stream" if body.get("stream") else "converse")
            named = (*notes.unsupported, *notes.left_out)
            sent = msgspec.json.encode(made)
            return ProviderRequest(path, sent, dropped=named, max_tokens=lowered_limit(body, target))
        except (UnicodeEncodeError, RecursionError) as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as a chat completion; a client that sent `functions` is told of one call."""
        return chat_completion(body, known)

    def stream(self, known: Known) -> ChunkDecoder:
        """A decoder that makes chat completion chunks."""
        return ChunkDecoder(known)


def beyond_bedrock(target: Target) -> Beyond:
    """What the target's model takes that OpenAI's API does not have."""
    is_claude = model_of(target.model).maker == "claude"
    return Beyond("blocks", thinking=is_claude, citations=is_claude, media_results=True)
