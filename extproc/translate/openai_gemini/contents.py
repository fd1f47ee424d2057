"""The conversation: OpenAI's flat list of messages to Gemini's system instruction and contents of parts.

System and developer messages go to the instruction, wherever they stand. Consecutive messages of one side are one
content; results of tools are one of their own, right behind their calls and in their order.
"""

from collections.abc import Callable
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.call_signature import signature_in
from extproc.translate.chat_messages import answers_nothing, calls_in, content_in, reader_of
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.openai_gemini.parts import Part, parts_of
from extproc.translate.walk import named, text_of

# In the place of the signature of a call that another provider's model made
# (https://ai.google.dev/gemini-api/docs/thought-signatures, FAQ).
UNSIGNED = "skip_thought_signature_validator"

_ASKED = ("text", "image_url", "input_audio", "file")
# What answers and OpenAI's SDK have, which is no part of what the model said; thoughts Gemini does not want back.
_ECHOES = ("annotations", "parsed")
_THOUGHTS = ("reasoning_content", "thinking_blocks")
_ASSISTANT = (
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "extra_content",
    *_ECHOES,
    *_THOUGHTS,
    *HINTS,
)


class Conversation:
    """Filled message by message; raises BadRequest."""

    def __init__(self, model: Abilities, notes: Notes) -> None:
        self.system: list[Part] = []
        self.contents: list[Part] = []
        self._model = model
        self._notes = notes
        self._names: dict[str, str] = {}  # of the functions that calls ask for, by the call's id; in their order
        self._function_ids: dict[str, str] = {}  # of deprecated function calls, which have none

    def add(self, message: Any, number: int) -> None:
        """Takes the next message."""
        path = f"messages[{number}]"
        reader = reader_of(message, path, _ROLES)
        self._notes.leave_hints(message)
        reader(self, message, path)

    def close(self) -> None:
        """After the last message: a conversation of nothing but instructions becomes the user's."""
        if not self.contents and self.system:
            self.contents, self.system = [{"role": "user", "parts": self.system}], []
        if not self.contents:
            raise BadRequest("No message in 'messages' has any content.", param="messages", code="invalid_value")

    def _say(self, role: str, parts: list[Part]) -> None:
        if not parts:
            return
        last = self.contents[-1] if self.contents else None
        if last and last["role"] == role and _has_results(last["parts"]) == _has_results(parts):
            last["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _instruct(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        self.system += self._content(message, path, ("text",))

    def _ask(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", *HINTS), path)
        self._say("user", self._content(message, path, _ASKED))

    def _answer(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, _ASSISTANT, path)
        for name in _THOUGHTS:
            if message.get(name):
                self._notes.leave_out(f"messages.{name}")
        parts = parts_of(message.get("content"), f"{path}.content", self._model, self._notes, ("text", "refusal"))
        if message.get("refusal") is not None and (refusal := text_of(message["refusal"], f"{path}.refusal")):
            parts.append({"text": refusal})
        if signature := signature_in(message.get("extra_content")):
            parts = parts or [{"text": ""}]
            parts[-1]["thoughtSignature"] = signature
        self._say("model", parts + self._calls(message, path))

    def _calls(self, message: dict[str, Any], path: str) -> list[Part]:
        parts = list[Part]()
        for call in calls_in(message, path, self._notes, HINTS):
            self._notes.leave_hints(call.holder)
            if call.id is None:
                call_id = self._function_ids[call.name] = f"function_call_{len(self.contents)}_{len(parts)}"
            else:
                call_id = call.id
            self._names.pop(call_id, None)  # some engines count anew in each turn
            self._names[call_id] = call.name
            part: Part = {"functionCall": {"id": call_id, "name": call.name, "args": call.input}}
            if signature := signature_in(call.holder.get("extra_content")):
                part["thoughtSignature"] = signature
            parts.append(part)
        if parts and self._model.signed_calls:  # of calls at once, the first one has the signature
            parts[0].setdefault("thoughtSignature", UNSIGNED)
        return parts

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "tool_call_id", "name", *HINTS), path)
        call_id = named(message.get("tool_call_id"), f"{path}.tool_call_id")
        if call_id not in self._names:
            raise answers_nothing(f"{path}.tool_call_id", call_id)
        self._result(message, path, call_id)

    def _function_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "name", *HINTS), path)
        name = named(message.get("name"), f"{path}.name")
        if name not in self._function_ids:
            raise answers_nothing(f"{path}.name", name)
        self._result(message, path, self._function_ids[name])

    def _result(self, message: dict[str, Any], path: str, call_id: str) -> None:
        kinds = ("text", "image_url", "file") if self._model.media_results else ("text",)
        parts = parts_of(message.get("content"), f"{path}.content", self._model, self._notes, kinds)
        # As text: in an object, Gemini's numbers would be floating-point.
        result: Part = {"id": call_id, "name": self._names[call_id]}
        result["response"] = {"output": "\n".join(part["text"] for part in parts if "text" in part)}
        if media := [part for part in parts if "text" not in part]:
            result["parts"] = media
        self._say("user", [{"functionResponse": result}])
        places = {known: place for place, known in enumerate(self._names)}
        self.contents[-1]["parts"].sort(key=lambda part: places[part["functionResponse"]["id"]])

    def _content(self, message: dict[str, Any], path: str, kinds: tuple[str, ...]) -> list[Part]:
        content = content_in(message, path)
        return parts_of(content, f"{path}.content", self._model, self._notes, kinds)


def _has_results(parts: list[Part]) -> bool:
    return "functionResponse" in parts[0]


_ROLES: dict[str, Callable[[Conversation, dict[str, Any], str], None]] = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._tool_result,
    "function": Conversation._function_result,
}
