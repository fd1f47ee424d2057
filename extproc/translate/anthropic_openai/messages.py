"""The conversation: Anthropic's turns of blocks to OpenAI's messages. Takes what `check` has seen; raises nothing.

Blocks that OpenAI's API has no place for are left out here, as `check` has named them. With a `Beyond` the chat
completion is for a further translation, and has what that target takes.
"""

import base64
from collections.abc import Iterator
from typing import Any

from extproc.translate.anthropic_openai.thoughts import with_thoughts
from extproc.translate.chat import Beyond
from extproc.translate.encode import json_bytes

Json = dict[str, Any]


def messages_of(body: Json, beyond: Beyond | None = None) -> list[Json]:
    """The system prompt and the turns."""
    made: list[Json] = []
    if body.get("system"):
        made += _system(_blocks(body["system"]), beyond)
    for role, blocks in _turns(body["messages"][: answered(body["messages"])]):
        made += _BY_ROLE[role](blocks, beyond)
    if beyond and body.get("cache_control") and made:  # of the whole request: up to its end
        made[-1].setdefault("cache_control", body["cache_control"])
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


def _hinted(parts: list[Json], block: Json, beyond: Beyond | None) -> list[Json]:
    """What a block has become, with its hint to cache up to its end."""
    if beyond and parts and block.get("cache_control"):
        return [*parts[:-1], {**parts[-1], "cache_control": block["cache_control"]}]
    return parts


def _texts(blocks: list[Json], beyond: Beyond | None) -> list[Json]:
    texts = [_hinted([_text(block["text"])], block, beyond) for block in blocks if block["type"] == "text"]
    return [part for parts in texts for part in parts]


def _system(blocks: list[Json], beyond: Beyond | None) -> list[Json]:
    return [{"role": "system", "content": _content(_texts(blocks, beyond))}]


def _user(blocks: list[Json], beyond: Beyond | None) -> list[Json]:
    """Tool results are messages of their own, and come first: right after the calls that they answer."""
    results, of_results, parts = list[Json](), list[Json](), list[Json]()
    for block in blocks:
        if block["type"] == "tool_result":
            result, shown = _tool_result(block, beyond)
            results += _hinted([result], block, beyond)
            of_results += shown
        else:
            parts += parts_of(block, beyond)
    parts = of_results + parts
    if parts or not results:
        results.append({"role": "user", "content": _content(parts)})
    return results


def _assistant(blocks: list[Json], beyond: Beyond | None) -> list[Json]:
    parts = _texts(blocks, beyond)
    calls = [_hinted([_tool_call(block)], block, beyond)[0] for block in blocks if block["type"] == "tool_use"]
    message: Json = {"role": "assistant", "content": _content(parts)}
    if calls:  # null rather than absent: some servers insist on the member
        message |= {"content": message["content"] if parts else None, "tool_calls": calls}
    return [with_thoughts(message, blocks, beyond) if beyond else message]


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _tool_call(block: Json) -> Json:
    arguments = json_bytes(block["input"]).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _tool_result(block: Json, beyond: Beyond | None) -> tuple[Json, list[Json]]:
    """A tool message, and what of the result only a user message can hold: images and files."""
    parts = [part for inner in _blocks(block.get("content") or []) for part in parts_of(inner, beyond)]
    stays = ("text", *(("image_url", "file") if beyond and beyond.media_results else ()))
    texts = [part for part in parts if part["type"] in stays]
    others = [part for part in parts if part["type"] not in stays]
    if others and not texts:
        texts = [_text("The content of this result is in the next user message.")]
    if block.get("is_error"):  # OpenAI's API has no flag for it
        said, rest = (texts[0]["text"], texts[1:]) if texts and "text" in texts[0] else ("", texts)
        texts = [_text(f"Error: {said}"), *rest]
    if others:
        others.insert(0, _text(f"Content of the result of tool call {block['tool_use_id']}:"))
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(texts)}, others


def parts_of(block: Json, beyond: Beyond | None = None) -> list[Json]:
    """The content parts of what a user, or a tool, shows the model."""
    return _hinted(_parts_of(block, beyond), block, beyond)


def _parts_of(block: Json, beyond: Beyond | None) -> list[Json]:
    match block["type"]:
        case "text":
            return [_text(block["text"])]
        case "image":
            return _image(block["source"])
        case "document":
            return _document(block, beyond)
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


def _document(block: Json, beyond: Beyond | None) -> list[Json]:
    source, title = block["source"], block.get("title")
    lines = [f"Context: {block['context']}"] if block.get("context") else []
    cited = bool(beyond and beyond.citations and (block.get("citations") or {}).get("enabled"))
    match source["type"]:
        case "base64":
            data = f"data:{source['media_type']};base64,{source['data']}"
            return [*(_text(line) for line in lines), _file(title, ".pdf", data, cited=cited)]
        case "text" if cited:
            data = f"data:text/plain;base64,{base64.b64encode(source['data'].encode(errors='replace')).decode()}"
            return [*(_text(line) for line in lines), _file(title, ".txt", data, cited=True)]
        case "text":
            content = [_text(source["data"])]
        case "content":
            content = [part for inner in _blocks(source["content"]) for part in parts_of(inner)]
        case _:
            return []
    if title:
        lines.insert(0, f"Title: {title}")
    return [_text("\n".join(lines)), *content] if lines else content


def _file(title: str | None, ending: str, data: str, *, cited: bool) -> Json:
    """OpenAI's API wants a name, and goes by its ending. `cited`: as our further translations read it."""
    name = title or "document"
    file = {"filename": name if name.lower().endswith(ending) else f"{name}{ending}", "file_data": data}
    return {"type": "file", "file": file, **({"citations": {"enabled": True}} if cited else {})}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _content(parts: list[Json]) -> str | list[Json]:
    """One text as a plain string, which every server takes."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts or ""
