"""The direction itself: what each of its calls is made of."""

from collections.abc import Callable
from typing import Any

from extproc.fit import fit_of, fitted
from extproc.translate.anthropic_openai.check import Check
from extproc.translate.anthropic_openai.places import SAID_AS
from extproc.translate.anthropic_openai.request import request_of
from extproc.translate.anthropic_openai.stream import Decoder
from extproc.translate.anthropic_openai.whole import whole_of
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import json_bytes
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in


class AnthropicToOpenAI:
    """Clients of /v1/messages on providers of /v1/chat/completions."""

    def unsupported(self, body: dict[str, Any], target: Target | None = None) -> tuple[str, ...]:
        """What OpenAI's API, or the target that differs from it, cannot do, by name. Raises BadRequest."""
        check = Check()
        check.request(body)
        fit = fit_of(target.preset, request_of(body, target)) if target and target.preset else None
        return (*check.unsupported, *_asked_by(fit.unsupported if fit else ()))

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request. `dropped` also names what is always left out, since the answer does not depend on it."""
        check = Check()
        check.request(body)
        made = request_of(body, target)
        limit = made["max_completion_tokens"]
        fit = fit_of(target.preset, made)
        return ProviderRequest(
            "/chat/completions",
            json_bytes(fitted(made, fit)),
            dropped=(*check.unsupported, *check.left_out, *_asked_by(fit.dropped if fit else ())),
            max_tokens=limit if limit < body["max_tokens"] else None,
        )

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """A message, or why the provider's answer is none."""
        return whole_of(body, known)

    def stream(self, known: Known, read_error: Callable[[bytes], Failure] = failure_in) -> Decoder:
        """A decoder of one stream; `read_error` tells what an error in it means."""
        return Decoder(known, read_error)


def _asked_by(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(SAID_AS.get(name, name) for name in names)
