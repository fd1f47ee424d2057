"""The conversation: Anthropic's turns of blocks to OpenAI's messages. Takes what `check` has seen; raises nothing.

Blocks that OpenAI's API has no place for are left out here, as `check` has named them.
"""

from collections.abc import Iterator
from typing import Any

from extproc.translate.encode import json_bytes

Json = dict[str, Any]


def messages_of(body: Json) -> list[Json]:
    """The system prompt and the turns."""
    made: list[Json] = []
    if body.get("system"):
        made += _system(_blocks(body["system"]))
    for role, blocks in _turns(body["messages"][: answered(body["messages"])]):
        made += _BY_ROLE[role](blocks)
    return made


def answered(messages: list[Json]) -> int:
    """How many of the messages there are before those that the answer would go on with, instead of answering them."""
    return next((n for n in range(len(messages), 0, -1) if messages[n - 1]["role"] != "assistant"), 0)


def _turns(messages: list[Json]) -> Iterator[tuple[str, list[Json]]]:
    """Neighbours of one role as one turn, which is what the Messages API takes them for."""
    role, blocks = "", list[Json]()
    for message in messages:
        if message["role"] != role:
            if role:
                yield role, blocks
            role, blocks = message["role"], []
        blocks += _blocks(message["content"])
    if role:
        yield role, blocks


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _system(blocks: list[Json]) -> list[Json]:
    parts = [_text(block["text"]) for block in blocks if block["type"] == "text"]
    return [{"role": "system", "content": _content(parts)}]


def _user(blocks: list[Json]) -> list[Json]:
    """Tool results are messages of their own, and come first: right after the calls that they answer."""
    results, of_results, parts = list[Json](), list[Json](), list[Json]()
    for block in blocks:
        if block["type"] == "tool_result":
            result, shown = _tool_result(block)
            results.append(result)
            of_results += shown
        else:
            parts += parts_of(block)
    parts = of_results + parts
    if parts or not results:
        results.append({"role": "user", "content": _content(parts)})
    return results


def _assistant(blocks: list[Json]) -> list[Json]:
    parts = [_text(block["text"]) for block in blocks if block["type"] == "text"]
    calls = [_tool_call(block) for block in blocks if block["type"] == "tool_use"]
    if not calls:
        return [{"role": "assistant", "content": _content(parts)}]
    # Null rather than absent: some servers insist on the member.
    return [{"role": "assistant", "content": _content(parts) if parts else None, "tool_calls": calls}]


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _tool_call(block: Json) -> Json:
    arguments = json_bytes(block["input"]).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _tool_result(block: Json) -> tuple[Json, list[Json]]:
    """A tool message, and what of the result only a user message can hold: images and files."""
    parts = [part for inner in _blocks(block.get("content") or []) for part in parts_of(inner)]
    texts = [part for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    if others and not texts:
        texts = [_text("The content of this result is in the next user message.")]
    if block.get("is_error"):  # OpenAI's API has no flag for it
        texts = [_text(f"Error: {texts[0]['text'] if texts else ''}"), *texts[1:]]
    if others:
        others.insert(0, _text(f"Content of the result of tool call {block['tool_use_id']}:"))
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(texts)}, others


def parts_of(block: Json) -> list[Json]:
    """The content parts of what a user, or a tool, shows the model."""
    match block["type"]:
        case "text":
            return [_text(block["text"])]
        case "image":
            return _image(block["source"])
        case "document":
            return _document(block)
        case "search_result":
            texts = [inner["text"] for inner in block["content"] if inner["type"] == "text"]
            return [_text("\n".join([f"Title: {block['title']}", f"Source: {block['source']}", "", *texts]))]
    return []


def _image(source: Json) -> list[Json]:
    match source["type"]:
        case "url":
            url = source["url"]
        case "base64":
            url = f"data:{source['media_type']};base64,{source['data']}"
        case _:
            return []
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: Json) -> list[Json]:
    source, title = block["source"], block.get("title")
    lines = [f"Context: {block['context']}"] if block.get("context") else []
    match source["type"]:
        case "base64":
            data = f"data:{source['media_type']};base64,{source['data']}"
            file = {"type": "file", "file": {"filename": _file_name(title), "file_data": data}}
            return [*(_text(line) for line in lines), file]
        case "text":
            content = [_text(source["data"])]
        case "content":
            content = [part for inner in _blocks(source["content"]) for part in parts_of(inner)]
        case _:
            return []
    if title:
        lines.insert(0, f"Title: {title}")
    return [_text("\n".join(lines)), *content] if lines else content


def _file_name(title: str | None) -> str:
    """OpenAI's API wants a name, and goes by its ending."""
    name = title or "document"
    return name if name.lower().endswith(".pdf") else f"{name}.pdf"


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _content(parts: list[Json]) -> str | list[Json]:
    """One text as a plain string, which every server takes."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts or ""
