"""The JSON of Anthropic's Messages API: messages that are not streamed, their usage, counts of tokens. Pure."""

import contextlib
import hashlib
from typing import Any, Final

import msgspec

from engines.simulator.answer import Answer, Choice, ToolCall
from engines.simulator.faults import Simulate, spaced
from engines.simulator.reply import padding

_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_DECOY: Final = {"usage": {"input_tokens": 7001, "output_tokens": 7002}}  # wrong on purpose


def message_body(answer: Answer) -> bytes:
    """Return the body of a whole message."""
    choice = answer.choices[0]
    body = msgspec.json.encode(message(answer, _content(answer, choice), choice, choice.tokens))
    return spaced(body) if answer.simulate.spaces else body


def count_body(input_tokens: int, simulate: Simulate) -> bytes:
    """Return the body of a count."""
    body = msgspec.json.encode({"input_tokens": input_tokens})
    return spaced(body) if simulate.spaces else body


def message(answer: Answer, content: list[dict[str, Any]], ended: Choice | None, done: int) -> dict[str, Any]:
    """Return a message object after `done` tokens; one that has not ended says no reason."""
    start = {"id": answer.id, "type": "message", "role": "assistant", "model": answer.model}
    return with_usage(start, {"content": content, **ending(ended)}, answer, done)


def ending(choice: Choice | None) -> dict[str, Any]:
    """Return why a message ended, or that it has not."""
    if choice is None:
        return {"stop_reason": None, "stop_sequence": None}
    reason = _STOP_REASONS[choice.finish_reason] if choice.stop_sequence is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stop_sequence}


def with_usage(start: dict[str, Any], rest: dict[str, Any], answer: Answer, done: int) -> dict[str, Any]:
    """Return an object with the usage after `done` tokens, its keys in the order that the request wishes."""
    simulate = answer.simulate
    usage: dict[str, Any] = {} if simulate.no_usage else {"usage": _usage(answer, done)}
    first = {"x_vendor": _DECOY} if simulate.nested_usage else {}
    return {**start, **first, **usage, **rest} if simulate.usage_first else {**start, **first, **rest, **usage}


def tool_use(call: ToolCall) -> dict[str, Any]:
    """Return the block of a call before its input."""
    return {"type": "tool_use", "id": call.id.replace("call_", "toolu_"), "name": call.name, "input": {}}


def signature_of(choice: Choice) -> str:
    """Return the signature of the thinking of a choice."""
    return hashlib.blake2b("".join(choice.reasoning).encode()).hexdigest()


def _usage(answer: Answer, done: int) -> dict[str, Any] | None:
    simulate = answer.simulate
    if simulate.null_usage:
        return None
    cached, written = simulate.cached_tokens or 0, simulate.cache_write_tokens or 0
    usage: dict[str, Any] = {
        "input_tokens": max(0, answer.prompt_tokens - cached - written),  # here the cached ones are not in it
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": done,
    }
    if simulate.reasoning_tokens is not None:
        usage["output_tokens_details"] = {"thinking_tokens": simulate.reasoning_tokens}
    return usage


def _content(answer: Answer, choice: Choice) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if choice.reasoning:
        thinking = "".join(choice.reasoning)
        blocks.append({"type": "thinking", "thinking": thinking, "signature": signature_of(choice)})
    text = "".join(choice.pieces) + padding(answer, choice)
    if text:
        blocks.append({"type": "text", "text": text})
    return [*blocks, *({**tool_use(call), "input": _input(call)} for call in choice.calls)]


def _input(call: ToolCall) -> Any:
    """Return the input of a call; of one that `max_tokens` cut, nothing."""
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode("".join(call.pieces))
    return {}
