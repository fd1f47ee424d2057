"""Chat completions, whole and in chunks, as far as a response has a place for them: what compatible servers send, and
what our own answers of other providers have beyond that (`thinking_blocks`, `extra_content`).
"""

from typing import Any

import msgspec

from extproc.translate.anthropic_openai.completion import Function, Usage, thinking_blocks_of
from extproc.translate.anthropic_openai.completion import Message as Words
from extproc.translate.sealed import Sealed


class Custom(msgspec.Struct):
    """A call of a custom tool, or a piece of one."""

    name: str | None = None
    input: str | None = None


class ToolCall(msgspec.Struct):
    """A call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Any = None


class Message(Words):
    """What the model says, or a piece of it."""

    tool_calls: list[ToolCall] | None = None  # type: ignore[assignment]


class Choice(msgspec.Struct):
    """The answer, or a piece of it."""

    index: int | None = None
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: Any = None


class Completion(msgspec.Struct):
    """An answer or a chunk of one. `object` is that of vLLM's older errors."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    model: str | None = None
    error: Any = None
    object: str | None = None
    service_tier: Any = None


_decoder = msgspec.json.Decoder(Completion)


def decoded(data: bytes) -> Completion | None:
    """None for what is no JSON object of this shape."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_error(completion: Completion) -> bool:
    """Servers report errors under 200 too, once a stream has begun."""
    return bool(completion.error) or completion.object == "error"


def thoughts_of(message: Message) -> Sealed:
    """The blocks of thinking, as Anthropic wants them back."""
    return Sealed(thinking_blocks=list(thinking_blocks_of(message)))
