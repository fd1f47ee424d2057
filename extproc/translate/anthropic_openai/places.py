"""Where the messages of a translated Messages request come from: the client's path for each of them and their parts.

A second walk, in the order of `messages_of`, for requests that go further than to OpenAI's API.
"""

from collections.abc import Iterator
from typing import Any

from extproc.translate.anthropic_openai.messages import answered, parts_of

Json = dict[str, Any]
Placed = tuple[str, Json]  # a block and its path


def places_of(body: Json) -> dict[str, str]:
    """The client's paths by those of the messages."""
    places: dict[str, str] = {}
    index = 0
    if body.get("system"):
        index = _system(list(_placed(body["system"], "system")), index, places)
    for role, blocks in _turns(body["messages"][: answered(body["messages"])]):
        index = _BY_ROLE[role](blocks, index, places)
    return places


def _turns(messages: list[Json]) -> Iterator[tuple[str, list[Placed]]]:
    role, blocks = "", list[Placed]()
    for number, message in enumerate(messages):
        if message["role"] != role:
            if role:
                yield role, blocks
            role, blocks = message["role"], []
        blocks += _placed(message["content"], f"messages[{number}].content")
    if role:
        yield role, blocks


def _placed(content: str | list[Json], path: str) -> Iterator[Placed]:
    if isinstance(content, str):
        yield path, {"type": "text", "text": content}
        return
    for number, block in enumerate(content):
        yield f"{path}[{number}]", block


def _system(blocks: list[Placed], index: int, places: dict[str, str]) -> int:
    _content([path for path, block in blocks if block["type"] == "text"], index, places)
    return index + 1


def _assistant(blocks: list[Placed], index: int, places: dict[str, str]) -> int:
    _content([path for path, block in blocks if block["type"] == "text"], index, places)
    calls = [path for path, block in blocks if block["type"] == "tool_use"]
    for number, path in enumerate(calls):
        here = f"messages[{index}].tool_calls[{number}]"
        places |= {here: path, f"{here}.function": path, f"{here}.function.arguments": f"{path}.input"}
    return index + 1


def _user(blocks: list[Placed], index: int, places: dict[str, str]) -> int:
    results, shown, said = 0, list[str](), list[str]()
    for path, block in blocks:
        if block["type"] != "tool_result":
            said += _paths_of(path, block)
            continue
        here = f"messages[{index + results}]"
        places |= {here: path, f"{here}.tool_call_id": f"{path}.tool_use_id"}
        results += 1
        inner = [
            (inner_path, part)
            for inner_path, one in _placed(block.get("content") or [], f"{path}.content")
            for part in parts_of(one)
        ]
        if others := [inner_path for inner_path, part in inner if part["type"] != "text"]:
            shown += [path, *others]  # a text that names the call comes first
    if shown or said or not results:
        _content([*shown, *said], index + results, places)
        results += 1
    return index + results


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _paths_of(path: str, block: Json) -> list[str]:
    """The path for each of the parts that the block becomes."""
    return [path for _ in parts_of(block)]


def _content(paths: list[str], index: int, places: dict[str, str]) -> None:
    for number, path in enumerate(paths):
        here = f"messages[{index}].content[{number}]"
        places |= {here: path, f"{here}.image_url": f"{path}.source", f"{here}.file": f"{path}.source"}
        places |= {f"{here}.image_url.url": f"{path}.source", f"{here}.file.file_data": f"{path}.source"}
    if paths:
        places.setdefault(f"messages[{index}]", paths[0].rpartition(".content[")[0] or paths[0])
