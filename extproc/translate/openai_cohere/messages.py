"""The conversation: OpenAI's messages as Cohere's.

System and developer messages are one system message, which Cohere wants first. An id that calls two tools, as with
engines that count anew in each turn, gets a number: Cohere takes each id once.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat_messages import answers_nothing, calls_in, content_in, is_object, reader_of
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_cohere.models import Abilities
from extproc.translate.openai_cohere.parts import Part, parts_of, text_part
from extproc.translate.walk import named, text_of

# What answers and OpenAI's SDK have, which is no part of what the model said.
_ECHOES = ("annotations", "extra_content", "parsed")
_ASSISTANT = (
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "thinking_blocks",
    *_ECHOES,
    *HINTS,
)


class Conversation:
    """Filled message by message; raises BadRequest."""

    def __init__(self, model: Abilities, notes: Notes) -> None:
        self._system: list[Part] = []
        self._messages: list[Part] = []
        self._model = model
        self._notes = notes
        self._ids: dict[str, str] = {}  # of calls, the client's: as Cohere is told them
        self._sent: set[str] = set()
        self._function_ids: dict[str, str] = {}  # of deprecated function calls, which have none

    def add(self, message: Any, number: int) -> None:
        """Takes the next message."""
        path = f"messages[{number}]"
        reader = reader_of(message, path, _ROLES)
        self._notes.leave_hints(message)
        reader(self, message, path)

    def whole(self) -> list[Part]:
        """After the last message: all of them. A conversation of nothing but instructions becomes the user's."""
        if not self._messages and not self._system:
            raise BadRequest("No message in 'messages' has any content.", param="messages", code="invalid_value")
        if not self._system:
            return self._messages
        role = "system" if self._messages else "user"
        return [{"role": role, "content": _short(self._system)}, *self._messages]

    def _instruct(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        self._system += self._content(message, path, ("text",))

    def _ask(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        if parts := self._content(message, path, ("text", "image_url")):
            self._messages.append({"role": "user", "content": _short(parts)})

    def _answer(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, _ASSISTANT, path)
        parts = parts_of(message.get("content"), f"{path}.content", self._model, self._notes, ("text", "refusal"))
        if message.get("refusal") is not None and (refusal := text_of(message["refusal"], f"{path}.refusal")):
            parts.append(text_part(refusal))
        calls = self._calls(message, path)
        made: Part = {"role": "assistant"}
        if thought := self._thought(message, path):
            if self._model.thinking:
                parts.insert(0, {"type": "thinking", "thinking": thought})
            elif calls:
                made["tool_plan"] = thought
            else:
                self._notes.leave_out("messages.reasoning_content")
        if parts:
            made["content"] = _short(parts)
        if calls:
            made["tool_calls"] = calls
        if parts or calls:
            self._messages.append(made)

    def _thought(self, message: dict[str, Any], path: str) -> str:
        """What the model thought, which Cohere takes as text. Blocks of Anthropic's say the same once more."""
        text = message.get("reasoning_content")
        if message.get("thinking_blocks"):
            self._notes.leave_out("messages.thinking_blocks")
        return "" if text is None else text_of(text, f"{path}.reasoning_content")

    def _calls(self, message: dict[str, Any], path: str) -> list[Part]:
        made = list[Part]()
        for call in calls_in(message, path, self._notes, HINTS):
            self._notes.leave_hints(call.holder)
            if call.id is None:
                call_id = self._function_ids[call.name] = f"function_call_{len(self._messages)}"
            else:
                call_id = call.id
            function = {"name": call.name, "arguments": msgspec.json.encode(call.input).decode()}
            made.append({"id": self._sent_id(call_id), "type": "function", "function": function})
        return made

    def _sent_id(self, call_id: str) -> str:
        sent, times = call_id, 1
        while sent in self._sent:
            times += 1
            sent = f"{call_id}_{times}"
        self._ids[call_id] = sent
        self._sent.add(sent)
        return sent

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "tool_call_id", "name", *HINTS), path)
        call_id = named(message.get("tool_call_id"), f"{path}.tool_call_id")
        if call_id not in self._ids:
            raise answers_nothing(f"{path}.tool_call_id", call_id)
        self._result(message, path, call_id)

    def _function_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "name", *HINTS), path)
        name = named(message.get("name"), f"{path}.name")
        if name not in self._function_ids:
            raise answers_nothing(f"{path}.name", name)
        self._result(message, path, self._function_ids[name])

    def _result(self, message: dict[str, Any], path: str, call_id: str) -> None:
        parts = parts_of(message.get("content"), f"{path}.content", self._model, self._notes, ("text",))
        self._messages.append({"role": "tool", "tool_call_id": self._ids[call_id], "content": _result_of(parts)})

    def _content(self, message: dict[str, Any], path: str, kinds: tuple[str, ...]) -> list[Part]:
        content = content_in(message, path)
        return parts_of(content, f"{path}.content", self._model, self._notes, kinds)


def _short(parts: list[Part]) -> Any:
    return parts[0]["text"] if len(parts) == 1 and "text" in parts[0] else parts


def _result_of(parts: list[Part]) -> Any:
    """A string is to be a JSON object; other text is a part. Cohere takes no empty message."""
    if not parts:
        return _json({"output": ""})
    return parts[0]["text"] if len(parts) == 1 and is_object(parts[0]["text"]) else parts


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


_ROLES: dict[str, Callable[[Conversation, dict[str, Any], str], None]] = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._tool_result,
    "function": Conversation._function_result,
}
