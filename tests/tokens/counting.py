"""A counter with both encodings, and bodies for it."""

from functools import cache
from typing import Any

from extproc.tokens import Prompt, prompt_of, rule_of
from extproc.tokens.counter import Counter


@cache
def counter() -> Counter:
    """One for all tests that do not ask what it has counted."""
    made = Counter()
    made.warm(["cl100k_base", "o200k_base"])
    return made


def prompt(body: dict[str, Any], model: str = "gpt-4o", surface: str = "chat") -> Prompt:
    return prompt_of(surface, body.get, rule_of(model))


def tokens(body: dict[str, Any], model: str = "gpt-4o", surface: str = "chat") -> int:
    size = counter().quick(prompt(body, model, surface), "acme")
    assert size is not None
    return size.total


def says(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}
