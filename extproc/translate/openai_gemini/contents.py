"""The conversation: OpenAI's flat list of messages to Gemini's system instruction and contents of parts.

System and developer messages go to the instruction, wherever they stand. Consecutive messages of one side are one
content; results of tools are one of their own, right behind their calls and in their order.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import HINTS, Notes
from extproc.translate.openai_anthropic.parts import checked_kind
from extproc.translate.openai_gemini.models import Abilities
from extproc.translate.openai_gemini.parts import Part, parts_of
from extproc.translate.walk import list_of, named, not_one_of, object_of, text_of

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
_CALL = ("id", "type", "function", "custom", "index", "extra_content")


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
        role = object_of(message, path).get("role")
        reader = _ROLES.get(role) if isinstance(role, str) else None
        if reader is None:
            raise not_one_of(role, f"{path}.role", _ROLES)
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
        if signature := _signature_in(message):
            parts = parts or [{"text": ""}]
            parts[-1]["thoughtSignature"] = signature
        self._say("model", parts + self._calls(message, path))

    def _calls(self, message: dict[str, Any], path: str) -> list[Part]:
        parts = list[Part]()
        calls = message.get("tool_calls")
        for number, call in enumerate([] if calls is None else list_of(calls, f"{path}.tool_calls")):
            here = f"{path}.tool_calls[{number}]"
            kind = checked_kind(object_of(call, here).get("type", "function"), f"{here}.type", ("function", "custom"))
            self._notes.only(call, _CALL, here)
            call_id = named(call.get("id"), f"{here}.id")
            made = self._call(call.get(kind), f"{here}.{kind}", call_id, custom=kind == "custom")
            if signature := _signature_in(call):
                made["thoughtSignature"] = signature
            parts.append(made)
        if (function := message.get("function_call")) is not None:
            call_id = f"function_call_{len(self.contents)}_{len(parts)}"
            parts.append(self._call(function, f"{path}.function_call", call_id, custom=False))
            self._function_ids[self._names[call_id]] = call_id
        if parts and self._model.signed_calls:  # of calls at once, the first one has the signature
            parts[0].setdefault("thoughtSignature", UNSIGNED)
        return parts

    def _call(self, function: Any, path: str, call_id: str, *, custom: bool) -> Part:
        name = named(object_of(function, path).get("name"), f"{path}.name")
        self._names.pop(call_id, None)  # some engines count anew in each turn
        self._names[call_id] = name
        if custom:
            args: Any = {"input": text_of(function.get("input"), f"{path}.input")}
        else:
            self._notes.only(function, ("name", "arguments", "parsed_arguments"), path)
            args = _args_of(text_of(function.get("arguments", ""), f"{path}.arguments"))
        return {"functionCall": {"id": call_id, "name": name, "args": args}}

    def _tool_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "tool_call_id", "name", *HINTS), path)
        call_id = named(message.get("tool_call_id"), f"{path}.tool_call_id")
        if call_id not in self._names:
            raise _answers_nothing(f"{path}.tool_call_id", call_id)
        self._result(message, path, call_id)

    def _function_result(self, message: dict[str, Any], path: str) -> None:
        self._notes.only(message, ("role", "content", "name", *HINTS), path)
        name = named(message.get("name"), f"{path}.name")
        if name not in self._function_ids:
            raise _answers_nothing(f"{path}.name", name)
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
        content = message.get("content")
        if content is None:
            raise BadRequest(f"'{path}' has no content.", param=f"{path}.content", code="missing_required_parameter")
        return parts_of(content, f"{path}.content", self._model, self._notes, kinds)


def _has_results(parts: list[Part]) -> bool:
    return "functionResponse" in parts[0]


def _answers_nothing(path: str, name: str) -> BadRequest:
    return BadRequest(
        f"'{path}' names '{name[:100]}', which no message before it has called.", param=path, code="invalid_value"
    )


def _signature_in(holder: dict[str, Any]) -> str | None:
    """The signature as our answers give it, which is also how Google's own endpoint for OpenAI's clients does."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _args_of(arguments: str) -> Any:
    """A call's arguments as the object that Gemini wants. What a model wrote that is no JSON object stays readable to
    the next one: as the text of a member `arguments`."""
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
