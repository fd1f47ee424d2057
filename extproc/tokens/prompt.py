"""What of a request's body the model reads: one function per surface, any client API with any model's rule. Pure.

A body is given as `get`, which returns a top-level member, or None when it is absent (`Document.get`, `dict.get`).
"""

from collections.abc import Callable
from typing import Any

from extproc.tokens.blocks import read_messages
from extproc.tokens.chat import read_chat
from extproc.tokens.responses import read_responses
from extproc.tokens.rules import Rule
from extproc.tokens.tally import Prompt, Tally, written

Get = Callable[[str], Any]


def prompt_of(surface: str, get: Get, rule: Rule) -> Prompt:
    """The prompt in the body of a request to the surface of that name. Raises KeyError for other surfaces."""
    return _SURFACES[surface](get, rule)


def _chat(get: Get, rule: Rule) -> Prompt:
    tally = Tally(rule)
    read_chat(tally, get)
    return tally.prompt()


def _messages(get: Get, rule: Rule) -> Prompt:
    tally = Tally(rule)
    read_messages(tally, get)
    return tally.prompt()


def _responses(get: Get, rule: Rule) -> Prompt:
    tally = Tally(rule)
    read_responses(tally, get)
    return tally.prompt()


def _completions(get: Get, rule: Rule) -> Prompt:
    suffix = get("suffix")
    return _inputs(get("prompt"), rule, suffix if isinstance(suffix, str) else "")


def _embeddings(get: Get, rule: Rule) -> Prompt:
    return _inputs(get("input"), rule)


def _told(*names: str) -> Callable[[Get, Rule], Prompt]:
    """Of texts under these names; what else is there (pictures, sound) has other measures."""

    def read(get: Get, rule: Rule) -> Prompt:
        tally = Tally(rule)
        for name in names:
            value = get(name)
            for item in value if isinstance(value, list) else [value]:
                tally.text(item)
        return tally.prompt()

    return read


def _inputs(value: Any, rule: Rule, suffix: str = "") -> Prompt:
    """A text, a list of texts, a list of tokens, or a list of such lists; each one is a prompt of its own."""
    values = value if isinstance(value, list) else [value]
    if values and isinstance(values[0], int):
        values = [values]
    texts, ids = list[str](), list[int]()
    for item in values:
        if isinstance(item, list):
            ids.append(len(item))
        elif item is not None:
            texts.append((item if isinstance(item, str) else written(item)) + suffix)
    return Prompt(rule, tuple(texts), sum(ids), apart=True, longest_ids=max(ids, default=0))


_SURFACES: dict[str, Callable[[Get, Rule], Prompt]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "messages": _messages,
    "count_tokens": _messages,
    "responses": _responses,
    "responses.compact": _responses,
    "responses.input_tokens": _responses,
    "images": _told("prompt"),
    "image_edits": _told("prompt"),
    "image_variations": _told(),
    "speech": _told("input", "instructions"),
    "transcriptions": _told("prompt"),
    "translations": _told("prompt"),
    "moderations": _told("input"),
    "rerank": _told("query", "documents"),
}
