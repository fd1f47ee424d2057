"""Anthropic messages bodies: system, blocks, tools and their results, thinking, pictures, documents. Pure.

https://platform.claude.com/docs/en/build-with-claude/token-counting says what counts; figures are in docs/tokens.md.
"""

from collections.abc import Callable
from typing import Any

from extproc.tokens.pictures import document_tokens, picture_size, picture_tokens, plain_text, url_data
from extproc.tokens.tally import Tally
from extproc.tokens.tools import read_tools

_ROLES = frozenset(("user", "assistant"))
_BLOCK = 3  # around a tool's use or its result
_DEPTH = 4  # of blocks in blocks: a document in a tool's result
_SEALED_CHARS = 4  # of redacted thinking, for each token


def read_messages(tally: Tally, get: Callable[[str], Any]) -> None:
    """Adds what the model reads of a messages body."""
    tally.add(tally.rule.opening)
    system, messages = get("system"), get("messages")
    if system:
        if tally.rule.family != "anthropic":  # elsewhere it is a message
            tally.add(tally.rule.per_message + 1)
        _read_blocks(tally, system)
    for message in messages if isinstance(messages, list) else [messages]:
        if not tally.plain(message, _ROLES):
            tally.add(tally.rule.per_message + 1)
            _read_blocks(tally, message.get("content") if isinstance(message, dict) else message)
    tools = get("tools")
    read_tools(tally, [_tool(tool) for tool in tools] if isinstance(tools, list) else [], after_system=bool(system))
    for name in ("output_format", "output_config"):
        value = get(name)
        if isinstance(value, dict):
            tally.text(value.get("schema") or value.get("format"))


def _tool(tool: Any) -> tuple[Any, Any, Any]:
    """Name, description and schema; a server's own tool has a type and settings instead."""
    if not isinstance(tool, dict):
        return tool, None, None
    if "input_schema" in tool:
        return tool.get("name"), tool.get("description"), tool.get("input_schema")
    return tool.get("name"), None, {name: value for name, value in tool.items() if name != "cache_control"}


def _read_blocks(tally: Tally, content: Any, depth: int = 0) -> None:
    for block in content if isinstance(content, list) else [content]:
        kind = block.get("type") if isinstance(block, dict) else None
        read = _BLOCKS.get(kind) if isinstance(kind, str) and depth < _DEPTH else None
        if read and isinstance(block, dict):
            read(tally, block, depth)
        else:
            tally.text(block)


def _read_text(tally: Tally, block: dict[str, Any], _depth: int) -> None:
    tally.text(block.get("text"))


def _read_image(tally: Tally, block: dict[str, Any], _depth: int) -> None:
    tally.add(picture_tokens(picture_size(_given(block)[1]), tally.rule))


def _given(block: dict[str, Any]) -> tuple[Any, Any]:
    """Media type and base64 of a block's source, None for what is elsewhere."""
    source = block.get("source")
    if not isinstance(source, dict):
        return None, None
    if source.get("type") == "base64":
        return source.get("media_type"), source.get("data")
    return url_data(source.get("url")) or (None, None)


def _read_document(tally: Tally, block: dict[str, Any], depth: int) -> None:
    for name in ("title", "context"):
        tally.text(block.get(name))
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if isinstance(source, dict) and kind == "text":
        tally.text(source.get("data"))
    elif isinstance(source, dict) and kind == "content":
        _read_blocks(tally, source.get("content"), depth + 1)
    else:
        media_type, data = _given(block)
        text = plain_text(media_type, data)
        if text is None:
            tally.add(document_tokens(data))
        else:
            tally.text(text)


def _read_use(tally: Tally, block: dict[str, Any], _depth: int) -> None:
    tally.add(_BLOCK)
    tally.text(block.get("name"))
    tally.text(block.get("input"))


def _read_result(tally: Tally, block: dict[str, Any], depth: int) -> None:
    tally.add(_BLOCK)
    _read_blocks(tally, block.get("content"), depth + 1)


def _read_thinking(tally: Tally, block: dict[str, Any], _depth: int) -> None:
    tally.text(block.get("thinking"))


def _read_sealed(tally: Tally, block: dict[str, Any], _depth: int) -> None:
    data = block.get("data")
    tally.add(-(-len(data) // _SEALED_CHARS) if isinstance(data, str) else 0)


def _read_found(tally: Tally, block: dict[str, Any], depth: int) -> None:
    for name in ("title", "source"):
        tally.text(block.get(name))
    _read_blocks(tally, block.get("content"), depth + 1)


_BLOCKS: dict[str, Callable[[Tally, dict[str, Any], int], None]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "tool_use": _read_use,
    "server_tool_use": _read_use,
    "tool_result": _read_result,
    "thinking": _read_thinking,
    "redacted_thinking": _read_sealed,
    "search_result": _read_found,
}
