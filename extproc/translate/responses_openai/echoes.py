"""What clients send back of responses that were made here, out of another API's answers, to a target with responses.

Such items are nobody's to look up. OpenAI's API refuses a reasoning item that it does not know, and content of one
that it has not encrypted; others know no more of it. What was said and called stays, under no name where a server
may look names up.
"""

import re
from typing import Any

from extproc.translate.sealed import is_sealed

# As response.py makes them, of the request's id.
_is_ours = re.compile(r"(?:rs|msg|fc|ctc)_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9]{1,9}").fullmatch

_TEXTS: dict[Any, str] = {"output_text": "text", "refusal": "refusal"}  # parts of what the model said


def items_for_native(items: list[Any], *, looks_up: bool) -> list[Any] | None:
    """The items as such a target takes them, without reasoning of ours; None when they are that already. For input
    of any form.

    `looks_up`: whether it keeps items, and may look for one by its id. Others may insist on ids.
    """
    made = [_item(item, looks_up) for item in items]
    if all(new is old for new, old in zip(made, items, strict=True)):
        return None
    return [item for item in made if item is not None]


def _item(item: Any, looks_up: bool) -> Any:
    """The item itself when there is nothing to change, None when nothing is left of it."""
    if not isinstance(item, dict):
        return item
    name, kind = item.get("id"), item.get("type")
    is_ours = isinstance(name, str) and _is_ours(name) is not None
    if kind == "reasoning":
        return None if is_ours or is_sealed(item.get("encrypted_content")) else item
    if not (is_ours and looks_up) or kind == "item_reference":  # a reference is its id, and the target's to refuse
        return item
    if kind == "message":
        return {"type": kind, "role": item.get("role"), "content": _content(item.get("content"))}
    return {key: value for key, value in item.items() if key != "id"}


def _content(parts: Any) -> Any:
    """As text: OpenAI's API takes parts of an answer only in a message that has an id."""
    if not isinstance(parts, list):
        return parts
    texts = [part.get(_TEXTS.get(part.get("type"), "")) if isinstance(part, dict) else None for part in parts]
    said = [text for text in texts if isinstance(text, str)]
    return "\n".join(said) if len(said) == len(parts) else parts
