"""A whole chat completion as a response."""

from extproc.translate.anthropic_openai.completion import arguments_of, words_of
from extproc.translate.anthropic_openai.message import broken_off
from extproc.translate.call_signature import signature_in
from extproc.translate.direction import Known
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in
from extproc.translate.responses_openai.completion import (
    Choice,
    Message,
    ToolCall,
    decoded,
    is_error,
    thoughts_of,
)
from extproc.translate.responses_openai.content import Json
from extproc.translate.responses_openai.response import (
    Frame,
    annotations_of,
    call_item,
    custom_item,
    end_of,
    item_id,
    logprobs_of,
    message_item,
    reasoning_item,
    served,
    spare_call_id,
    text_part,
    used,
)
from extproc.translate.sealed import Sealed


def whole_of(body: bytes, known: Known) -> bytes | Failure:
    """The response, or why there is none."""
    completion = decoded(body)
    if completion is None:
        return Failure.of("malformed", "The provider's answer is not a chat completion.")
    if is_error(completion):
        return failure_in(body)
    choice = next((choice for choice in completion.choices or () if not choice.index), None)
    if choice is None or choice.message is None:
        return Failure.of("malformed", "The provider's answer is a chat completion without a message.")
    if (failure := broken_off(choice.finish_reason or "")) is not None:
        return failure
    status, members = end_of(choice.finish_reason)
    output = _Output(known, status)
    for name in (call.function or call.custom for call in choice.message.tool_calls or ()):
        if name is None or not name.name:
            return Failure.of("malformed", "The provider's answer calls a tool without a name.")
    items = output.of(choice, choice.message)
    members |= used(completion.usage) | served(completion.service_tier)
    return bytes(Frame(known).response(completion.model or "", status, items, **members))


class _Output:
    """The items of one response, in the order in which a stream has them."""

    def __init__(self, known: Known, status: str) -> None:
        self._known = known
        self._status = status
        self._items: list[Json] = []
        self._thought: tuple[str, Sealed] | None = None  # of the last item, if that is reasoning

    def of(self, choice: Choice, message: Message) -> list[Json]:
        """All of them. How the answer ended is how its last item did."""
        words = {"thinking": "", "text": ""}
        for kind, text in words_of(message):
            words[kind] += text
        sealed = thoughts_of(message)
        if words["thinking"] or sealed:
            self._think(words["thinking"], sealed)
        self._say(words["text"], choice, message)
        for number, call in enumerate(message.tool_calls or ()):
            self._call(call, number)
        if "status" in self._items[-1]:
            self._items[-1]["status"] = self._status
        return self._items

    def _add(self, prefix: str, index: int | None = None) -> str:
        return item_id(self._known, prefix, len(self._items) if index is None else index)

    def _think(self, text: str, sealed: Sealed) -> None:
        self._thought = text, sealed
        self._items.append(reasoning_item(self._add("rs"), text, sealed, "completed"))

    def _say(self, text: str, choice: Choice, message: Message) -> None:
        annotations = list(annotations_of(message))
        parts = list[Json]()
        if text or annotations:
            parts.append(text_part(text, annotations, logprobs_of(choice.logprobs)))
        if message.refusal:
            parts.append({"type": "refusal", "refusal": message.refusal})
        if not (parts or self._items or message.tool_calls):
            parts.append(text_part("", [], []))
        if parts:
            self._thought = None
            self._items.append(message_item(self._add("msg"), parts, "completed"))

    def _call(self, call: ToolCall, number: int) -> None:
        call_id = call.id or spare_call_id(self._known, number)
        if (signature := signature_in(call.extra_content)) is not None:
            text, sealed = self._thought or ("", Sealed())
            if self._thought is not None:
                self._items.pop()
            self._think(text, Sealed(sealed.thinking_blocks, {**sealed.signatures, call_id: signature}))
        self._thought = None
        if call.custom is not None:
            tool, text = call.custom.name or "", call.custom.input or ""
            self._items.append(custom_item(self._add("ctc"), call_id, tool, text))
        elif call.function is not None:
            name, arguments = call.function.name or "", arguments_of(call.function)
            self._items.append(call_item(self._add("fc"), call_id, name, arguments, "completed"))
