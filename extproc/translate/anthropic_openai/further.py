"""Messages requests as chat completions that are translated further, with all that the target takes of them, and the
client's own names for what is in them.
"""

from collections.abc import Callable
from typing import Any

from extproc.translate.anthropic_openai.check import Check
from extproc.translate.anthropic_openai.places import SAID_AS, places_of
from extproc.translate.anthropic_openai.request import request_of
from extproc.translate.anthropic_openai.stream import Decoder
from extproc.translate.anthropic_openai.whole import whole_of
from extproc.translate.chat import Beyond, Chat
from extproc.translate.direction import Known, Target
from extproc.translate.failure import Failure

_OF_THINKING = {"messages.thinking_blocks": "messages.thinking", "messages.reasoning_content": "messages.thinking"}


class AnthropicToChat:
    """The first half of a direction. `beyond` tells what the second takes for a target."""

    def __init__(self, beyond: Callable[[Target], Beyond]) -> None:
        self._beyond = beyond

    def chat(self, body: dict[str, Any], target: Target) -> Chat:
        """The request as a chat completion. Raises BadRequest."""
        beyond = self._beyond(target)
        check = Check(beyond)
        check.request(body)
        made = request_of(body, target, beyond)
        return Chat(made, tuple(check.unsupported), tuple(check.left_out), _origins_of(body, beyond))

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """A message, or why the provider's answer is none."""
        return whole_of(body, known)

    def stream(self, known: Known, read_error: Callable[[bytes], Failure]) -> Decoder:
        """A decoder of one stream; `read_error` tells what an error in it means."""
        return Decoder(known, read_error)


def _origins_of(body: dict[str, Any], beyond: Beyond) -> dict[str, str]:
    """The client's names for what is in the chat completion."""
    origins = {**SAID_AS, **_OF_THINKING, **places_of(body, beyond), "reasoning_effort": _effort_path(body)}
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
