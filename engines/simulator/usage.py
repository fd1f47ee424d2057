"""Token counts and the `usage` object, in vLLM's field order. Pure."""

from collections.abc import Iterable
from typing import Final

import msgspec

from engines.simulator.bodies import Message
from engines.simulator.faults import Simulate


class PromptDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """`usage.prompt_tokens_details`."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    """`usage.completion_tokens_details`."""

    reasoning_tokens: int


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """`usage`; details are left out unless `simulate` asks for them."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


DECOY: Final = {"usage": {"prompt_tokens": 7001, "total_tokens": 14003, "completion_tokens": 7002}}
"""The vendor object of `nested_usage`: its numbers are wrong on purpose."""


def word_count(text: str) -> int:
    """Return the tokens of a text: its words."""
    return len(text.split())


def chat_tokens(messages: Iterable[Message]) -> int:
    """Return the prompt tokens of a chat: all words, one per part that is not text, at least 1."""
    total = 0
    for message in messages:
        total += sum(map(word_count, message.texts))
        if isinstance(message.content, list):
            total += sum(part.text is None for part in message.content)
    return max(1, total)


def usage_of(prompt_tokens: int, completion_tokens: int, simulate: Simulate) -> Usage:
    """Return the usage object with the details that were asked for."""
    cached, written, reasoning = simulate.cached_tokens, simulate.cache_write_tokens, simulate.reasoning_tokens
    return Usage(
        prompt_tokens=prompt_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        completion_tokens=completion_tokens,
        prompt_tokens_details=None if cached is None and written is None else PromptDetails(cached, written),
        completion_tokens_details=None if reasoning is None else CompletionDetails(reasoning),
    )
