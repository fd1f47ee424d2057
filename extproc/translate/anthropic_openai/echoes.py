"""What clients send back of answers that were translated for them, when the next target is Anthropic itself.

Anthropic refuses thinking that it has not signed, citations that it has not indexed, and ids of tool calls as some
servers write them.
"""

import re
from typing import Any

from extproc.translate.sealed import is_sealed

_odd_in_ids = re.compile(r"[^A-Za-z0-9_-]")
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}


def messages_for_anthropic(messages: list[Any]) -> list[Any] | None:
    """The messages as Anthropic takes them; None when they are that already. For bodies of any form."""
    made = [_message(message) for message in messages]
    if all(new is old for new, old in zip(made, messages, strict=True)):
        return None
    return [message for message in made if message is not None]


def _message(message: Any) -> Any:
    """The message itself when there is nothing to change, None when nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    made = [_block(block) for block in content]
    if all(new is old for new, old in zip(made, content, strict=True)):
        return message
    kept = [block for block in made if block is not None]
    return {**message, "content": kept} if kept else None


def _block(block: Any) -> Any:
    if not isinstance(block, dict):
        return block
    kind = block.get("type")
    if kind == "thinking":
        signature = block.get("signature")
        return None if signature == "" or is_sealed(signature) else block
    name = _IDS.get(kind) if isinstance(kind, str) else None
    if name is not None:
        value = block.get(name)
        fit = _odd_in_ids.sub("_", value) if isinstance(value, str) else value
        return block if fit == value else {**block, name: fit}
    if kind == "text" and isinstance(block.get("citations"), list):
        kept = [cited for cited in block["citations"] if not _is_ours(cited)]
        return block if len(kept) == len(block["citations"]) else {**block, "citations": kept or None}
    return block


def _is_ours(cited: Any) -> bool:
    return isinstance(cited, dict) and cited.get("encrypted_index") == ""
