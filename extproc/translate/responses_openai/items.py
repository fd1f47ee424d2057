"""The conversation: Responses' flat list of items to chat's messages.

What the model said between two turns of the others is one message: its text, its calls, and, for a further direction,
what it thought. Results come right behind the message with their calls, wherever the client has put them, since chat
takes them nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from extproc.refusal import BadRequest
from extproc.translate.call_signature import signed
from extproc.translate.responses_openai.content import (
    ANSWERED,
    SHOWN,
    TEXTS,
    Json,
    Part,
    content_of,
    parts_of,
    text_part,
)
from extproc.translate.responses_openai.notes import Notes
from extproc.translate.sealed import Sealed, unseal
from extproc.translate.walk import list_of, named, not_one_of, object_of, text_of

_KINDS = {"user": SHOWN, "system": TEXTS, "developer": TEXTS, "assistant": ANSWERED}
_CALL = ("type", "id", "call_id", "name", "status", "caller")
_RESULT = ("type", "id", "call_id", "name", "output", "status", "caller")
_REASONING = ("type", "id", "summary", "content", "encrypted_content", "status")


@dataclass(slots=True)
class _Said:
    """One message in the making; `places` are the client's paths by those within the message."""

    role: str
    message: Json
    places: dict[str, str]
    parts: list[Part] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    sealed: Sealed = field(default_factory=Sealed)
    behind: list["_Said"] = field(default_factory=list)  # the results of its calls
    shown: list[Json] = field(default_factory=list)  # of the results, what only a user's message can hold

    @property
    def is_open(self) -> bool:
        """Whether more of what the model said may join it."""
        return self.role == "assistant" and not self.behind

    @property
    def says(self) -> bool:
        """Whether there is anything in it that is not thought alone."""
        return self.role != "assistant" or bool(self.parts or self.calls)


class Conversation:
    """Filled item by item; raises BadRequest. `extended`: for a direction that reads what our own answers have."""

    def __init__(self, notes: Notes, *, extended: bool) -> None:
        self._notes = notes
        self._extended = extended
        self._said: list[_Said] = []
        self._callers: dict[str, _Said] = {}  # by the ids of the calls

    def instruct(self, text: str) -> None:
        """What comes before all else."""
        self._said.append(_Said("system", {}, {"": "instructions"}, [Part(text_part(text), {"": "instructions"})]))

    def ask(self, text: str) -> None:
        """The whole input, as one text."""
        self._said.append(_Said("user", {}, {"": "input"}, [Part(text_part(text), {"": "input"})]))

    def add(self, item: Any, number: int) -> None:
        """Takes the next item."""
        path = f"input[{number}]"
        kind = object_of(item, path).get("type")
        if kind is None:
            if "role" not in item:
                self._notes.no_place(f"{path}.id")  # a reference to an item that is kept somewhere
                return
            kind = "message"
        reader = _READERS.get(text_of(kind, f"{path}.type"))
        if reader is None:
            self._notes.no_place(f"{path}.type")
        else:
            reader(self, item, path)

    def messages(self) -> list[Json]:
        """All of them; the origins are in the notes then."""
        made = list[Json]()
        for said in self._said:
            if said.says:
                made.append(self._finished(said, len(made)))
            for result in said.behind:
                made.append(self._finished(result, len(made)))
            if said.shown:
                self._notes.origins[f"messages[{len(made)}]"] = "input"
                made.append({"role": "user", "content": said.shown})
        return made

    def _finished(self, said: _Said, index: int) -> Json:
        parts = list[Json]()
        for part in said.parts:
            here = f".content[{len(parts)}]"
            said.places |= {here + inner: place for inner, place in part.places.items()}
            parts.append(part.made)
        message: Json = {"role": said.role, **said.message}
        if parts or not said.calls:
            message["content"] = content_of(parts)
            if isinstance(message["content"], str) and said.parts:
                said.places[".content"] = said.parts[0].places[""]
        else:
            message["content"] = None  # rather than absent: some servers insist on the member
        if said.calls:
            message["tool_calls"] = [self._signed(call, said.sealed) for call in said.calls]
        if said.sealed.thinking_blocks:
            message["thinking_blocks"] = said.sealed.thinking_blocks
        self._notes.origins |= {f"messages[{index}]{inner}": place for inner, place in said.places.items()}
        return message

    def _signed(self, call: Json, sealed: Sealed) -> Json:
        return call | signed(sealed.signatures.get(call["id"]))

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        kinds = _KINDS.get(role) if isinstance(role, str) else None
        if kinds is None:
            raise not_one_of(role, f"{path}.role", _KINDS)
        self._notes.only(item, ("type", "id", "role", "content", "status", "phase"), path)
        if item.get("phase") is not None:
            self._notes.leave_out("input.phase")
        if item.get("content") is None:
            raise _missing(f"{path}.content")
        parts = parts_of(item["content"], f"{path}.content", self._notes, kinds)
        if role != "assistant":
            self._said.append(_Said(str(role), {}, {"": path}, parts))
            return
        said = self._of_model(path)
        if said.parts:  # another message of the model's
            said = self._new(path)
        said.parts = parts

    def _of_model(self, path: str) -> _Said:
        """The message that what the model says next belongs to."""
        if self._said and self._said[-1].is_open:
            return self._said[-1]
        return self._new(path)

    def _new(self, path: str) -> _Said:
        self._said.append(_Said("assistant", {}, {"": path}))
        return self._said[-1]

    def _function_call(self, item: Json, path: str) -> None:
        self._notes.only(item, (*_CALL, "arguments"), path)
        arguments = text_of(item.get("arguments"), f"{path}.arguments")
        self._call(item, path, "function", {"arguments": arguments})

    def _custom_call(self, item: Json, path: str) -> None:
        self._notes.only(item, (*_CALL, "input"), path)
        self._call(item, path, "custom", {"input": text_of(item.get("input"), f"{path}.input")})

    def _call(self, item: Json, path: str, kind: str, given: Json) -> None:
        self._look_at_caller(item, path)
        call_id = named(item.get("call_id"), f"{path}.call_id")
        said = self._of_model(path)
        here = f".tool_calls[{len(said.calls)}]"
        said.places |= {here: path, f"{here}.id": f"{path}.call_id", f"{here}.{kind}": path}
        function = {"name": named(item.get("name"), f"{path}.name"), **given}
        said.calls.append({"id": call_id, "type": kind, kind: function})
        self._callers[call_id] = said

    def _look_at_caller(self, item: Json, path: str) -> None:
        if item.get("caller") not in (None, {"type": "direct"}):
            self._notes.no_place(f"{path}.caller")

    def _result(self, item: Json, path: str) -> None:
        self._notes.only(item, _RESULT, path)
        self._look_at_caller(item, path)
        call_id = named(item.get("call_id"), f"{path}.call_id")
        caller = self._callers.get(call_id)
        if caller is None:
            raise BadRequest(
                f"'{path}.call_id' names '{call_id[:100]}', which no item before it has called.",
                param=f"{path}.call_id",
                code="invalid_value",
            )
        if item.get("output") is None:
            raise _missing(f"{path}.output")
        parts = parts_of(item["output"], f"{path}.output", self._notes, SHOWN)
        if not self._extended:
            parts = self._texts_of(parts, call_id, caller)
        places = {"": path, ".tool_call_id": f"{path}.call_id", ".content": f"{path}.output"}
        caller.behind.append(_Said("tool", {"tool_call_id": call_id}, places, parts))

    def _texts_of(self, parts: list[Part], call_id: str, caller: _Said) -> list[Part]:
        """What a tool's message can hold; the rest is for a message of the user's behind it."""
        texts = [part for part in parts if part.made["type"] == "text"]
        others = [part.made for part in parts if part.made["type"] != "text"]
        if others:
            caller.shown += [text_part(f"Content of the result of tool call {call_id}:"), *others]
            if not texts:
                texts = [Part(text_part("The content of this result is in the next user message."))]
                texts[0].places[""] = "input"
        return texts

    def _reasoning(self, item: Json, path: str) -> None:
        self._notes.only(item, _REASONING, path)
        texts = [name for name in ("summary", "content") if item.get(name) is not None]
        given = [list_of(item[name], f"{path}.{name}") for name in texts]
        sealed = unseal(item.get("encrypted_content")) if self._extended else None
        if sealed is not None:
            said = self._of_model(path)
            said.sealed.thinking_blocks += sealed.thinking_blocks
            said.sealed.signatures |= sealed.signatures
            said.places[".thinking_blocks"] = f"{path}.encrypted_content"
        elif any(given) or item.get("encrypted_content"):
            self._notes.leave_out("input.reasoning")


def _missing(path: str) -> BadRequest:
    return BadRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


_READERS: dict[str, Callable[[Conversation, Json, str], None]] = {
    "message": Conversation._message,
    "function_call": Conversation._function_call,
    "function_call_output": Conversation._result,
    "custom_tool_call": Conversation._custom_call,
    "custom_tool_call_output": Conversation._result,
    "reasoning": Conversation._reasoning,
}
