"""The direction itself: what each of its calls is made of."""

from typing import Any

from extproc.translate.anthropic_openai.check import Check
from extproc.translate.anthropic_openai.encode import json_bytes
from extproc.translate.anthropic_openai.request import request_of
from extproc.translate.anthropic_openai.stream import Decoder
from extproc.translate.anthropic_openai.whole import whole_of
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.failure import Failure


class AnthropicToOpenAI:
    """Clients of /v1/messages on providers of /v1/chat/completions."""

    def unsupported(self, body: dict[str, Any], _target: Target | None = None) -> tuple[str, ...]:
        """What OpenAI's API cannot do, by name. Raises BadRequest."""
        check = Check()
        check.request(body)
        return tuple(check.unsupported)

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request. `dropped` also names what is always left out, since the answer does not depend on it."""
        check = Check()
        check.request(body)
        made = request_of(body, target)
        limit = made["max_completion_tokens"]
        return ProviderRequest(
            "/chat/completions",
            json_bytes(made),
            dropped=(*check.unsupported, *check.left_out),
            max_tokens=limit if limit < body["max_tokens"] else None,
        )

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """A message, or why the provider's answer is none."""
        return whole_of(body, known)

    def stream(self, known: Known) -> Decoder:
        """A decoder of one stream."""
        return Decoder(known)
