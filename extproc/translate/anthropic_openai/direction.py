"""The direction itself: what each of its calls is made of."""

from collections.abc import Callable
from typing import Any

from extproc.fit import fit_of, fitted
from extproc.translate.anthropic_openai.check import Check
from extproc.translate.anthropic_openai.places import places_of
from extproc.translate.anthropic_openai.request import request_of
from extproc.translate.anthropic_openai.stream import Decoder
from extproc.translate.anthropic_openai.whole import whole_of
from extproc.translate.chat import Chat
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import json_bytes
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in

# What a client said that made a parameter of OpenAI's, where it has another name.
_SAID_AS = {
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
}


class AnthropicToOpenAI:
    """Clients of /v1/messages on providers of /v1/chat/completions."""

    def chat(self, body: dict[str, Any], target: Target) -> Chat:
        """The request as a chat completion, for a further direction. Raises BadRequest."""
        check = Check()
        check.request(body)
        return Chat(request_of(body, target), tuple(check.unsupported), tuple(check.left_out), _origins_of(body))

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
    return tuple(_SAID_AS.get(name, name) for name in names)


def _origins_of(body: dict[str, Any]) -> dict[str, str]:
    """The client's names for what is in the chat completion."""
    origins = {**_SAID_AS, **places_of(body), "reasoning_effort": _effort_path(body)}
    if body.get("output_format") and not (body.get("output_config") or {}).get("format"):
        origins["response_format"] = "output_format"
    for number in range(len(body.get("stop_sequences") or ())):
        origins[f"stop[{number}]"] = f"stop_sequences[{number}]"
    carried = [number for number, tool in enumerate(body.get("tools") or ()) if tool.get("type") in (None, "custom")]
    for number, place in enumerate(carried):
        path = f"tools[{place}]"
        origins |= {f"tools[{number}]": path, f"tools[{number}].function": path}
        origins[f"tools[{number}].function.parameters"] = f"{path}.input_schema"
    return origins


def _effort_path(body: dict[str, Any]) -> str:
    return "output_config.effort" if (body.get("output_config") or {}).get("effort") else "thinking"
