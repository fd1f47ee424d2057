"""OpenAI's answers, whole and in chunks, as they are met: its own API, vLLM, DeepSeek, OpenRouter, Mistral, Gemini;
and ours of other providers, which have more (`thinking_blocks`, `extra_content`).

What servers differ in is typed loosely and read by the functions below; the rest of an answer is skipped unread.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Piece = tuple[Literal["thinking", "text"], str]


class PromptDetails(msgspec.Struct):
    """How much of the prompt came from the provider's cache, or went into it."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """How much of the answer is reasoning."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Totals include cached and reasoning tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek


class Function(msgspec.Struct):
    """A call's function; `arguments` is JSON text, or an object from servers that do not know better."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class ToolCall(msgspec.Struct):
    """A call, or a piece of one. Gemini leaves `index` out."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: Any = None


class Message(msgspec.Struct):
    """What the model says, or a piece of it."""

    content: Any = None
    reasoning_content: Any = None  # vLLM before 0.12, DeepSeek
    reasoning: Any = None  # vLLM, OpenRouter
    refusal: str | None = None
    annotations: Any = None
    tool_calls: list[ToolCall] | None = None
    thinking_blocks: Any = None


class Choice(msgspec.Struct):
    """One of the answers. `stop_reason` is vLLM's: the stop string that was met, or the number of a token."""

    index: int | None = None
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    usage: Usage | None = None  # Moonshot, in streams
    stop_reason: Any = None


class Completion(msgspec.Struct):
    """An answer or a chunk of one. `object` and `message` are those of vLLM's older errors."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    model: str | None = None
    error: Any = None
    object: str | None = None


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


def pieces_of(message: Message) -> Iterator[Piece]:
    """Reasoning and text, in the order in which they were made; the refusal is text."""
    yield from words_of(message)
    if message.refusal:
        yield "text", message.refusal


def words_of(message: Message) -> Iterator[Piece]:
    """Reasoning and text alone."""
    reasoning = message.reasoning_content or message.reasoning  # some servers send it under both names
    if isinstance(reasoning, str) and reasoning:
        yield "thinking", reasoning
    if isinstance(message.content, str):
        if message.content:
            yield "text", message.content
    elif isinstance(message.content, list):
        yield from _parts(message.content)


def _parts(content: list[Any]) -> Iterator[Piece]:
    """Mistral's content of a reasoning model: parts, whose thinking has parts again."""
    for part in content:
        if not isinstance(part, dict):
            continue
        if isinstance(text := part.get("text"), str) and text:
            yield "text", text
        thinking = part.get("thinking")
        for inner in thinking if isinstance(thinking, list) else ():
            if isinstance(inner, dict) and isinstance(text := inner.get("text"), str) and text:
                yield "thinking", text


def thinking_blocks_of(message: Message) -> Iterator[dict[str, Any]]:
    """The blocks of thinking, as Anthropic wants them back, with their positions; in streams they are numbered."""
    for block in message.thinking_blocks if isinstance(message.thinking_blocks, list) else ():
        if isinstance(block, dict):
            yield {name: value for name, value in block.items() if name != "index"}


def arguments_of(function: Function) -> str:
    """The arguments, or a piece of them, as JSON text."""
    arguments = function.arguments
    return msgspec.json.encode(arguments).decode() if isinstance(arguments, dict) else arguments or ""
