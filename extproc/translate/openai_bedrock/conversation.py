"""The conversation: OpenAI's flat list of messages to Converse's system prompt and turns of content blocks.

System and developer messages go to the system prompt, wherever they stand. Consecutive messages of one side are one
turn, results of tools among the user's.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.chat_messages import calls_in, content_in, reader_of
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_bedrock.models import Model
from extproc.translate.openai_bedrock.parts import Block, Parts
from extproc.translate.walk import checked_kind, list_of, named, object_of, text_of

_ASKED = ("text", "image_url", "input_audio", "file")
_GIVEN_BACK = ("text", "image_url", "file")
_ECHOES = ("annotations", "extra_content", "parsed", "reasoning_content")
_ASSISTANT = ("role", "content", "refusal", "tool_calls", "function_call", "thinking_blocks", *_ECHOES, *HINTS)
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_.:-]")
_ID_LIMIT = 64


class Conversation:
    """Filled message by message; raises BadRequest."""

    def __init__(self, model: Model, notes: Notes) -> None:
        self.system: list[Block] = []
        self.turns: list[Block] = []
        self.called: dict[str, None] = {}  # the tools that appear in it
        self.parts = Parts(model, notes)
        self._model = model
        self._notes = notes
        self._function_ids: dict[str, str] = {}  # of deprecated function calls, which have none

    @property
    def calls_without_thought(self) -> bool:
        """Whether the last turns are calls and their results, without the thinking that led to the calls."""
        if len(self.turns) < 2 or "toolResult" not in self.turns[-1]["content"][0]:
            return False
        return "reasoningContent" not in self.turns[-2]["content"][0]

    def add(self, message: Any, number: int) -> None:
        """Takes the next message."""
        path = f"messages[{number}]"
        reader = reader_of(message, path, _ROLES)
        reader(self, message, path)

    def close(self) -> None:
        """After the last message: a conversation of nothing but instructions becomes the user's. It stays empty
        where what has no place is all there is."""
        if not self.turns and self.system:
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        if not self.turns and not self._notes.unsupported:
            raise BadRequest("No message in 'messages' has any content.", param="messages", code="invalid_value")

    def _say(self, role: str, blocks: list[Block], message: dict[str, Any], path: str) -> None:
        """Adds the blocks to the role's turn, and behind them the point to cache up to that the message asks for."""
        if not blocks:
            return
        blocks = self._with_point(blocks, message, path)
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _with_point(self, blocks: list[Block], message: dict[str, Any], path: str) -> list[Block]:
        point = self.parts.cache_point(message, path)
        return blocks if "cachePoint" in blocks[-1] else blocks + point

    def _instruct(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        if blocks := self._content(message, path, ("text",)):
            self.system += self._with_point(blocks, message, path)

    def _ask(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        self._say("user", self._content(message, path, _ASKED), message, path)

    def _answer(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, _ASSISTANT, path)
        blocks = self.parts.of(message.get("content"), f"{path}.content", ("text", "refusal"))
        if message.get("refusal") is not None and (refusal := text_of(message["refusal"], f"{path}.refusal")).strip():
            blocks.append({"text": refusal})
        blocks = self._with_thoughts(blocks + self._calls(message, path), message, path)
        self._say("assistant", blocks, message, path)

    def _with_thoughts(self, blocks: list[Block], message: dict[str, Any], path: str) -> list[Block]:
        """Thinking where it stood in the answer: first, or at the `position` that our answers give."""
        thoughts = message.get("thinking_blocks")
        found = [] if thoughts is None else list_of(thoughts, f"{path}.thinking_blocks")
        if message.get("reasoning_content") and not found:
            self._notes.leave_out("messages.reasoning_content")  # worth nothing without a signature
        if found and not self._model.takes_thoughts:
            self._notes.leave_out("messages.thinking_blocks")
            return blocks
        for number, thought in enumerate(found):
            block = _thought(thought, f"{path}.thinking_blocks[{number}]")
            if self._model.maker == "claude" and not _is_signed(block):  # which refuses it
                self._notes.leave_out("messages.thinking_blocks")
                continue
            position = thought.get("position")
            at = position if isinstance(position, int) and position >= number else number
            blocks.insert(_place(blocks, at), block)
        return blocks

    def _calls(self, message: dict[str, Any], path: str) -> list[Block]:
        blocks = list[Block]()
        for call in calls_in(message, path, self._notes, HINTS):
            if call.id is None:
                call_id = self._function_ids[call.name] = f"function_call_{len(self.turns)}_{len(blocks)}"
            else:
                call_id = _id_of(call.id)
            self.called[call.name] = None
            blocks.append({"toolUse": {"toolUseId": call_id, "name": call.name, "input": call.input}})
            blocks += self.parts.cache_point(call.holder, call.path)
        return blocks

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "tool_call_id", "name", *HINTS), path)
        self._result(message, path, _id_of(named(message.get("tool_call_id"), f"{path}.tool_call_id")))

    def _function_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "name", *HINTS), path)
        name = named(message.get("name"), f"{path}.name")
        if name not in self._function_ids:
            raise BadRequest(
                f"'{path}' is the result of '{name[:100]}', which no message before it has called.",
                param=f"{path}.name",
                code="invalid_value",
            )
        self._result(message, path, self._function_ids[name])

    def _result(self, message: dict[str, Any], path: str, call_id: str) -> None:
        found = self.parts.of(message.get("content"), f"{path}.content", _GIVEN_BACK)
        points = [block for block in found if "cachePoint" in block]  # a result cannot hold one
        content = [block for block in found if "cachePoint" not in block]
        result: Block = {"toolResult": {"toolUseId": call_id, "content": content}}
        self._say("user", [result, *points[-1:]], message, path)

    def _content(self, message: dict[str, Any], path: str, kinds: tuple[str, ...]) -> list[Block]:
        content = content_in(message, path)
        return self.parts.of(content, f"{path}.content", kinds)


def _thought(thought: Any, path: str) -> Block:
    """Thinking as Converse wants it back; what is redacted is bytes there, in base64 as everywhere."""
    kind = object_of(thought, path).get("type")
    if checked_kind(kind, f"{path}.type", ("thinking", "redacted_thinking")) == "redacted_thinking":
        return {"reasoningContent": {"redactedContent": text_of(thought.get("data"), f"{path}.data")}}
    signature = text_of(thought.get("signature") or "", f"{path}.signature")
    said = {"text": text_of(thought.get("thinking"), f"{path}.thinking")}
    return {"reasoningContent": {"reasoningText": said | ({"signature": signature} if signature else {})}}


def _is_signed(block: Block) -> bool:
    content = block["reasoningContent"]
    return "redactedContent" in content or "signature" in content["reasoningText"]


def _place(blocks: list[Block], position: int) -> int:
    """Where the block stands that `position` others come before; points to cache up to do not count."""
    for at, block in enumerate(blocks):
        if position == 0:
            return at
        position -= "cachePoint" not in block
    return len(blocks)


def _id_of(given: str) -> str:
    """The id in the characters, and no more of them, that Converse takes."""
    made = _NOT_IN_IDS.sub("_", given)
    return made if len(made) <= _ID_LIMIT else hashlib.sha256(given.encode(errors="replace")).hexdigest()


_ROLES: dict[str, Callable[[Conversation, dict[str, Any], str], None]] = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._tool_result,
    "function": Conversation._function_result,
}
