"""Where a translated Messages request comes from: the client's path for its parameters, its messages and their parts.

A second walk, in the order of `messages_of`, for requests that go further than to OpenAI's API.
"""

from collections.abc import Iterator
from typing import Any

from extproc.translate.anthropic_openai.messages import answered, parts_of
from extproc.translate.chat import Beyond

Json = dict[str, Any]
Placed = tuple[str, Json]  # a block and its path

# What a client said that made a parameter of OpenAI's, where it has another name.
SAID_AS = {
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
}


def places_of(body: Json, beyond: Beyond) -> dict[str, str]:
    """The client's paths by those of the messages."""
    places: dict[str, str] = {}
    index = 0
    if body.get("system"):
        index = _system(list(_placed(body["system"], "system")), index, places, beyond)
    for role, blocks in _turns(body["messages"][: answered(body["messages"])]):
        index = _BY_ROLE[role](blocks, index, places, beyond)
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


def _system(blocks: list[Placed], index: int, places: dict[str, str], _: Beyond) -> int:
    _content([path for path, block in blocks if block["type"] == "text"], index, places)
    return index + 1


def _assistant(blocks: list[Placed], index: int, places: dict[str, str], _: Beyond) -> int:
    _content([path for path, block in blocks if block["type"] == "text"], index, places)
    calls = [path for path, block in blocks if block["type"] == "tool_use"]
    for number, path in enumerate(calls):
        here = f"messages[{index}].tool_calls[{number}]"
        places |= {here: path, f"{here}.function": path, f"{here}.function.arguments": f"{path}.input"}
    return index + 1


def _user(blocks: list[Placed], index: int, places: dict[str, str], beyond: Beyond) -> int:
    results, shown, said = 0, list[str](), list[str]()
    for path, block in blocks:
        if block["type"] != "tool_result":
            said += [path for _ in parts_of(block, beyond)]
            continue
        here = f"messages[{index + results}]"
        places |= {here: path, f"{here}.tool_call_id": f"{path}.tool_use_id"}
        results += 1
        inner = [
            (inner_path, part)
            for inner_path, one in _placed(block.get("content") or [], f"{path}.content")
            for part in parts_of(one, beyond)
        ]
        if beyond.media_results:
            if block.get("is_error") and inner and inner[0][1]["type"] != "text":
                inner.insert(0, (path, inner[0][1]))  # the text that says so
            _content([inner_path for inner_path, _ in inner], index + results - 1, places)
        elif others := [inner_path for inner_path, part in inner if part["type"] != "text"]:
            shown += [path, *others]  # a text that names the call comes first
    if shown or said or not results:
        _content([*shown, *said], index + results, places)
        results += 1
    return index + results


_BY_ROLE = {"system": _system, "user": _user, "assistant": _assistant}


def _content(paths: list[str], index: int, places: dict[str, str]) -> None:
    for number, path in enumerate(paths):
        here = f"messages[{index}].content[{number}]"
        places |= {here: path, f"{here}.image_url": f"{path}.source", f"{here}.file": f"{path}.source"}
        places |= {f"{here}.image_url.url": f"{path}.source", f"{here}.file.file_data": f"{path}.source"}
    if paths:
        places.setdefault(f"messages[{index}]", paths[0].rpartition(".content[")[0] or paths[0])
