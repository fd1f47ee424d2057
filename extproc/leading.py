"""How a request's prompt begins: what is the same in all requests that an engine can answer from one cached prefix.

Engines keep the KV cache of a prompt in blocks, each of which is only good behind all those before it. The turns of a
conversation begin alike: system prompt, then the first message. So that is what they are known by: the heads of both,
however long they are, since two questions about one long document begin alike, too. Conversations with the same
system prompt differ in their first message and go to several replicas, each of which soon has that prompt. Pure.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from extproc.document import Document
from extproc.form import Form
from extproc.surface import Surface
from extproc.surfaces import CHAT, COMPLETIONS, MESSAGES, RESPONSES

SYSTEM_CHARS = 4096
FIRST_CHARS = 1024  # some 250 tokens, 16 of vLLM's blocks: prompts that differ earlier have little to share
FIRST_TOKENS = 256
PARTS = 16  # of a content, and messages before the first one that is no system prompt
PICTURE_CHARS = 256  # the end of a picture or its URL: what comes before is the same in many

_SYSTEM_ROLES = ("system", "developer")


def leading_of(surface: Surface, document: Document | Form) -> str | None:
    """The same text for requests that share a beginning; None where no other request could go on from it."""
    if surface is COMPLETIONS:
        return _prompt(document.get("prompt"))
    if surface is CHAT:
        return _messages("", document.get("messages"))
    if surface is MESSAGES:
        return _messages(_text(document.get("system"), SYSTEM_CHARS), document.get("messages"))
    if surface is RESPONSES:
        said = document.get("input")
        system = _text(document.get("instructions"), SYSTEM_CHARS)
        return _joined(system, said[:FIRST_CHARS]) if isinstance(said, str) else _messages(system, said)
    return None


def _prompt(prompt: Any) -> str:
    """One text or one list of tokens, or a list of either, of which the first counts."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt[:FIRST_CHARS]
    return " ".join(map(str, prompt[:FIRST_TOKENS])) if isinstance(prompt, list) else ""


def _messages(system: str, messages: Any) -> str:
    for message in islice(messages, PARTS) if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            break
        content = message.get("content")
        if message.get("role") not in _SYSTEM_ROLES:
            return _joined(system, _text(content, FIRST_CHARS))
        system += _text(content, SYSTEM_CHARS - len(system))
    return _joined(system, "")


def _joined(system: str, first: str) -> str:
    return f"{system}\0{first}"


def _text(content: Any, chars: int) -> str:
    """The head of a content: a text, or a list of parts."""
    if isinstance(content, str):
        return content[:chars]
    return "\0".join(_parts(content))[:chars] if isinstance(content, list) else ""


def _parts(parts: list[Any]) -> Iterator[str]:
    """Each cut before they are joined: a part may be all of a large body."""
    for part in parts[:PARTS]:
        if not isinstance(part, dict):
            continue
        text = part.get("text")
        if isinstance(text, str):
            yield text[:SYSTEM_CHARS]
        else:
            yield _picture(part.get("image_url") or part.get("source"))


def _picture(said: Any) -> str:
    found = (said.get("url") or said.get("data")) if isinstance(said, dict) else said
    return found[-PICTURE_CHARS:] if isinstance(found, str) else ""
