"""The JSON bodies of answers that are not streamed. Pure."""

from typing import Any

import msgspec

from engines.simulator.answer import CHAT, Answer, Choice
from engines.simulator.faults import spaced

_FILLER = " This padding is simulated."


def reply_body(answer: Answer) -> bytes:
    """Return the body of a `chat.completion` or `text_completion`."""
    simulate = answer.simulate
    one = _message_choice if answer.kind == CHAT else _text_choice
    choices = [one(choice, padding(answer, choice)) for choice in answer.choices]
    usage: Any = answer.usage
    if simulate.no_usage:
        usage = msgspec.UNSET
    elif simulate.null_usage:
        usage = None
    body = msgspec.json.encode(answer.envelope(answer.kind, choices, usage))
    return spaced(body) if simulate.spaces else body


def padding(answer: Answer, choice: Choice) -> str:
    """Return what fills the first choice's content up to `body_bytes`."""
    if answer.simulate.body_bytes is None or choice.index or choice.calls:
        return ""
    missing = answer.simulate.body_bytes - len("".join(choice.pieces).encode())
    return (_FILLER * (missing // len(_FILLER) + 1))[:missing] if missing > 0 else ""


def _message_choice(choice: Choice, padding: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.pieces) + padding}
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.calls:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": "".join(call.pieces)},
            }
            for call in choice.calls
        ]
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }


def _text_choice(choice: Choice, padding: str) -> dict[str, Any]:
    text = choice.echo + "".join(choice.pieces) + padding
    return {"index": choice.index, "text": text, "logprobs": None, "finish_reason": choice.finish_reason}
