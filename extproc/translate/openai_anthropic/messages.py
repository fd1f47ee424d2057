"""The conversation: OpenAI's flat list of messages to Anthropic's system prompt and turns of blocks.

System and developer messages go to the system prompt, wherever they stand. Consecutive messages of one side are one
turn, results of tools among the user's.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.openai_anthropic.parts import Block, blocks_of, checked_kind, hinted, text_block
from extproc.translate.walk import Walk, list_of, named, not_one_of, object_of, text_of

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")  # Anthropic allows no more; other providers' ids have dots and colons
_THINKING = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
# What answers and OpenAI's SDK have, which is no part of what the model said.
_ECHOES = ("annotations", "extra_content", "parsed", "reasoning_content")
_CALL = ("id", "type", "function", "custom", "index", "extra_content")
_ASSISTANT = (
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "thinking_blocks",
    "cache_control",
    *_ECHOES,
)


class Conversation:
    """Filled message by message; raises BadRequest."""

    def __init__(self, walk: Walk) -> None:
        self.system: list[Block] = []
        self.turns: list[Block] = []
        self.called: dict[str, None] = {}  # the tools that appear in it
        self._walk = walk
        self._function_ids: dict[str, str] = {}  # of deprecated function calls, which have none

    @property
    def calls_without_thought(self) -> bool:
        """Whether the last turns are calls and their results, without the thinking that led to the calls."""
        if len(self.turns) < 2 or self.turns[-1]["content"][0]["type"] != "tool_result":
            return False
        return self.turns[-2]["content"][0]["type"] not in _THINKING

    def add(self, message: Any, number: int) -> None:
        """Takes the next message."""
        path = f"messages[{number}]"
        role = object_of(message, path).get("role")
        reader = _ROLES.get(role) if isinstance(role, str) else None
        if reader is None:
            raise not_one_of(role, f"{path}.role", _ROLES)
        reader(self, message, path)

    def close(self) -> None:
        """After the last message: a conversation of nothing but instructions becomes the user's."""
        if not self.turns and self.system:
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        if not self.turns:
            raise BadRequest("No message in 'messages' has any content.", param="messages", code="invalid_value")

    def _say(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _instruct(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, ("role", "content", "cache_control"), path)
        self.system += self._content(message, path, ("text",))

    def _ask(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, ("role", "content", "cache_control"), path)
        self._say("user", self._content(message, path, ("text", "image_url", "file")))

    def _answer(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, _ASSISTANT, path)
        blocks = blocks_of(message.get("content"), f"{path}.content", self._walk, ("text", "refusal"))
        if message.get("refusal") is not None and (refusal := text_of(message["refusal"], f"{path}.refusal")).strip():
            blocks.append(text_block(refusal))
        blocks += self._calls(message, path)
        blocks = self._with_thinking(blocks, message, path)
        if blocks and blocks[-1]["type"] not in _THINKING:
            hinted(blocks[-1], message, path, self._walk)
        self._say("assistant", blocks)

    def _with_thinking(self, blocks: list[Block], message: dict[str, Any], path: str) -> list[Block]:
        """Thinking where it stood in the answer: first, or at the `position` that our answers give."""
        thoughts = message.get("thinking_blocks")
        if thoughts is None:
            if message.get("reasoning_content"):  # it is worth nothing to Anthropic without a signature
                self._walk.no_place(f"{path}.reasoning_content")
            return blocks
        for number, thought in enumerate(list_of(thoughts, f"{path}.thinking_blocks")):
            here = f"{path}.thinking_blocks[{number}]"
            kind = checked_kind(object_of(thought, here).get("type"), f"{here}.type", tuple(_THINKING))
            block = {name: text_of(thought.get(name), f"{here}.{name}") for name in _THINKING[kind]}
            position = thought.get("position")
            at = position if isinstance(position, int) and position >= number else number
            blocks.insert(at, {"type": kind, **block})
        return blocks

    def _calls(self, message: dict[str, Any], path: str) -> list[Block]:
        blocks = list[Block]()
        calls = message.get("tool_calls")
        for number, call in enumerate([] if calls is None else list_of(calls, f"{path}.tool_calls")):
            here = f"{path}.tool_calls[{number}]"
            kind = checked_kind(object_of(call, here).get("type", "function"), f"{here}.type", ("function", "custom"))
            self._walk.only(call, _CALL, here)
            call_id = _id_of(call.get("id"), f"{here}.id")
            if kind == "function":
                blocks.append(self._call(call.get("function"), f"{here}.function", call_id))
            else:
                blocks.append(self._custom_call(call.get("custom"), f"{here}.custom", call_id))
        if (function := message.get("function_call")) is not None:
            call_id = f"function_call_{len(self.turns)}_{len(blocks)}"
            blocks.append(self._call(function, f"{path}.function_call", call_id))
            self._function_ids[blocks[-1]["name"]] = call_id
        return blocks

    def _call(self, function: Any, path: str, call_id: str) -> Block:
        name = named(object_of(function, path).get("name"), f"{path}.name")
        self._walk.only(function, ("name", "arguments", "parsed_arguments"), path)
        self.called[name] = None
        arguments = text_of(function.get("arguments", ""), f"{path}.arguments")
        return {"type": "tool_use", "id": call_id, "name": name, "input": _input_of(arguments)}

    def _custom_call(self, custom: Any, path: str, call_id: str) -> Block:
        name = named(object_of(custom, path).get("name"), f"{path}.name")
        self.called[name] = None
        text = text_of(custom.get("input"), f"{path}.input")
        return {"type": "tool_use", "id": call_id, "name": name, "input": {"input": text}}

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, ("role", "content", "tool_call_id", "name", "cache_control"), path)
        self._result(message, path, _id_of(message.get("tool_call_id"), f"{path}.tool_call_id"))

    def _function_result(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, ("role", "content", "name", "cache_control"), path)
        name = named(message.get("name"), f"{path}.name")
        if name not in self._function_ids:
            raise BadRequest(
                f"'{path}' is the result of '{name}', which no message before it has called.",
                param=f"{path}.name",
                code="invalid_value",
            )
        self._result(message, path, self._function_ids[name])

    def _result(self, message: dict[str, Any], path: str, call_id: str) -> None:
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        content = blocks_of(message.get("content"), f"{path}.content", self._walk, ("text", "image_url", "file"))
        if content:
            block["content"] = content
        self._say("user", [hinted(block, message, path, self._walk)])

    def _content(self, message: dict[str, Any], path: str, kinds: tuple[str, ...]) -> list[Block]:
        content = message.get("content")
        if content is None:
            raise BadRequest(f"'{path}' has no content.", param=f"{path}.content", code="missing_required_parameter")
        blocks = blocks_of(content, f"{path}.content", self._walk, kinds)
        if blocks:
            hinted(blocks[-1], message, path, self._walk)
        return blocks


def _id_of(value: Any, path: str) -> str:
    return _NOT_IN_IDS.sub("_", named(value, path))


def _input_of(arguments: str) -> Any:
    """A call's arguments as the object that Anthropic wants, digit for digit. What a model wrote that is no JSON
    object stays readable to the next one: as the text of a member `arguments`."""
    if not arguments.strip():
        return {}
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return msgspec.Raw(arguments.encode())
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    return {"arguments": arguments}


_ROLES: dict[str, Callable[[Conversation, dict[str, Any], str], None]] = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._tool_result,
    "function": Conversation._function_result,
}
