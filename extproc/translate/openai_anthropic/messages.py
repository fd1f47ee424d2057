"""The conversation: OpenAI's flat list of messages to Anthropic's system prompt and turns of blocks.

System and developer messages go to the system prompt, wherever they stand. Consecutive messages of one side are one
turn, results of tools among the user's.
"""

import re
from collections.abc import Callable
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_messages import calls_in, content_in, reader_of
from extproc.translate.openai_anthropic.parts import Block, blocks_of, hinted, text_block
from extproc.translate.walk import Walk, checked_kind, list_of, named, object_of, text_of

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")  # Anthropic allows no more; other providers' ids have dots and colons
_THINKING = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
# What answers and OpenAI's SDK have, which is no part of what the model said.
_ECHOES = ("annotations", "extra_content", "parsed", "reasoning_content")
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
        reader = reader_of(message, path, _ROLES)
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
        for call in calls_in(message, path, self._walk, ("cache_control",)):
            if call.id is None:
                call_id = self._function_ids[call.name] = f"function_call_{len(self.turns)}_{len(blocks)}"
            else:
                call_id = _id_of(call.id)
            self.called[call.name] = None
            block: Block = {"type": "tool_use", "id": call_id, "name": call.name, "input": call.input}
            blocks.append(hinted(block, call.holder, call.path, self._walk))
        return blocks

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._walk.only(message, ("role", "content", "tool_call_id", "name", "cache_control"), path)
        self._result(message, path, _id_of(named(message.get("tool_call_id"), f"{path}.tool_call_id")))

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
        content = content_in(message, path)
        blocks = blocks_of(content, f"{path}.content", self._walk, kinds)
        if blocks:
            hinted(blocks[-1], message, path, self._walk)
        return blocks


def _id_of(given: str) -> str:
    return _NOT_IN_IDS.sub("_", given)


_ROLES: dict[str, Callable[[Conversation, dict[str, Any], str], None]] = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._tool_result,
    "function": Conversation._function_result,
}
