"""Whether a prompt and what is to be generated fit a context window. Pure."""

from collections.abc import Callable
from typing import Any

from extproc.tokens.tally import Prompt

_ASKED = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens", "max_completion_tokens"),  # the second one is some engines'
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
}


def asked_for(surface: str, get: Callable[[str], Any]) -> int:
    """How many tokens the answer must have room for: what the client asks for, otherwise one, for embeddings none.

    `get` gives a top-level member of the body, None when it is absent.
    """
    for name in _ASKED.get(surface, ()):
        asked = get(name)
        if isinstance(asked, int) and not isinstance(asked, bool):
            return max(1, asked)
    return 1 if surface in _ASKED else 0


def limit_of(surface: str, get: Callable[[str], Any]) -> int | None:
    """How much may be generated at most, by what the client says: the lower number if it gives two; None: any."""
    given = [get(name) for name in _ASKED.get(surface, ())]
    valid = [one for one in given if isinstance(one, int) and not isinstance(one, bool) and one >= 1]
    return min(valid, default=None)


def room(prompt_tokens: int, asked: int, window: int) -> bool:
    """Whether the window holds both; OpenAI, Anthropic and vLLM refuse the request when it does not."""
    return prompt_tokens + asked <= window


def room_at_a_glance(prompt: Prompt, asked: int, window: int) -> bool | None:
    """The same without counting; None when only the count can say."""
    if room(prompt.at_most.longest, asked, window):
        return True
    return None if room(prompt.at_least.longest, asked, window) else False
