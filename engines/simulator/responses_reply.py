"""The JSON of OpenAI's Responses API: response objects, their output and usage, and the events of a stream. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from engines.simulator.answer import Answer, Choice
from engines.simulator.faults import spaced
from engines.simulator.reply import padding
from engines.simulator.responses_bodies import ResponsesBody
from engines.simulator.stream import Event

_HOLE: Final = "\0piece"
_DECOY: Final = {"usage": {"input_tokens": 7001, "output_tokens": 7002}}  # wrong on purpose
_encode: Final = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class _Part:
    """An item of the output: how it begins, how it ends, and the event that its tokens stand in."""

    begun: dict[str, Any]
    done: dict[str, Any]
    kind: str  # of its deltas
    pieces: tuple[str, ...]
    content: dict[str, Any] | None = None  # the part inside it, empty
    whole: str = ""


def response(answer: Answer, body: ResponsesBody, status: str | None = None) -> dict[str, Any]:
    """Return the response object; with a `status` as it was before it ended."""
    choice, simulate = answer.choices[0], answer.simulate
    cut = choice.finish_reason == "length"
    ended = status or ("incomplete" if cut else "completed")
    usage = None if status or simulate.no_usage or simulate.null_usage else usage_of(answer)
    said: dict[str, Any] = {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": ended,
        "background": bool(body.background),
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if ended == "incomplete" else None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "model": answer.model,
        "output": [] if status else [part.done for part in _parts(answer)],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {"format": {"type": "text"}} if body.text is None else msgspec.to_builtins(body.text),
        "tool_choice": "auto" if body.tool_choice is None else msgspec.to_builtins(body.tool_choice),
        "tools": [{**msgspec.to_builtins(tool), "strict": True} for tool in body.tools or ()],
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "metadata": body.metadata or {},
    }
    if simulate.nested_usage:
        said = {"x_vendor": _DECOY, **said}
    if simulate.no_usage:
        return said
    return {"usage": usage, **said} if simulate.usage_first else {**said, "usage": usage}


def usage_of(answer: Answer) -> dict[str, Any]:
    """Return the usage object."""
    simulate, made = answer.simulate, answer.usage
    return {
        "input_tokens": made.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": simulate.cached_tokens or 0,
            "cache_write_tokens": simulate.cache_write_tokens or 0,
        },
        "output_tokens": made.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": simulate.reasoning_tokens or len(answer.choices[0].reasoning)},
        "total_tokens": made.total_tokens,
    }


def response_events(answer: Answer, body: ResponsesBody) -> Iterator[Event]:
    """Yield the events of a streamed response, the last one with the whole of it."""
    numbers = _Numbers(answer)
    for kind in ("created", "in_progress"):
        about = {"type": f"response.{kind}", "response": response(answer, body, "in_progress")}
        yield Event(0, numbers.event(about), False)
    done = 0
    for index, part in enumerate(_parts(answer)):
        yield from _item_events(numbers, part, index, done)
        done += len(part.pieces)
    final = response(answer, body)
    yield Event(done, numbers.event({"type": f"response.{final['status']}", "response": final}), False)


def broken_response_event(answer: Answer) -> bytes:
    """Return an event whose JSON ends in the middle."""
    newline = b"\r\n" if answer.simulate.crlf else b"\n"
    kind = b"response.output_text.delta"
    return b"event: " + kind + newline + b'data: {"type":"' + kind + b'","delta":"' + newline * 2


class _Numbers:
    """Numbers the events, and writes them."""

    def __init__(self, answer: Answer) -> None:
        self._newline = b"\r\n" if answer.simulate.crlf else b"\n"
        self._spaces = answer.simulate.spaces
        self._next = 0

    def event(self, body: dict[str, Any]) -> bytes:
        """Return one event."""
        data = _encode({"sequence_number": self._next, **body})
        self._next += 1
        if self._spaces:
            data = spaced(data)
        return b"event: " + str(body["type"]).encode() + self._newline + b"data: " + data + self._newline * 2


def _item_events(numbers: _Numbers, part: _Part, index: int, done: int) -> Iterator[Event]:
    place: dict[str, Any] = {"item_id": part.begun["id"], "output_index": index}
    yield Event(
        done,
        numbers.event({"type": "response.output_item.added", "output_index": index, "item": part.begun}),
        False,
    )
    if part.content is not None:
        place["content_index"] = 0
        added = {"type": "response.content_part.added", **place, "part": part.content}
        yield Event(done, numbers.event(added), False)
    more: dict[str, Any] = {"logprobs": []} if part.kind == "output_text" else {}
    for step, piece in enumerate(part.pieces, done):
        yield Event(
            step, numbers.event({"type": f"response.{part.kind}.delta", **place, "delta": piece, **more}), True
        )
    at = done + len(part.pieces)
    if part.kind == "function_call_arguments":
        more = {"name": part.done["name"], "arguments": part.whole}
    else:
        more["text"] = part.whole
    yield Event(at, numbers.event({"type": f"response.{part.kind}.done", **place, **more}), False)
    if part.content is not None:
        whole = {"type": "response.content_part.done", **place, "part": {**part.content, "text": part.whole}}
        yield Event(at, numbers.event(whole), False)
    yield Event(
        at, numbers.event({"type": "response.output_item.done", "output_index": index, "item": part.done}), False
    )


def _parts(answer: Answer) -> list[_Part]:
    choice, suffix = answer.choices[0], answer.id.removeprefix("resp_")
    status = "incomplete" if choice.finish_reason == "length" else "completed"
    parts = []
    if choice.reasoning:
        parts.append(_reasoning(choice, f"rs_{suffix}"))
    if choice.pieces or not choice.calls:
        parts.append(_text(choice, f"msg_{suffix}", status, padding(answer, choice)))
    for at, call in enumerate(choice.calls):
        item = {"id": f"fc_{suffix}_{at}", "type": "function_call", "call_id": call.id, "name": call.name}
        arguments = "".join(call.pieces)
        begun = {**item, "arguments": "", "status": "in_progress"}
        done = {**item, "arguments": arguments, "status": status}
        parts.append(_Part(begun, done, "function_call_arguments", call.pieces, whole=arguments))
    return parts


def _reasoning(choice: Choice, item_id: str) -> _Part:
    item = {"id": item_id, "type": "reasoning", "summary": []}
    text = "".join(choice.reasoning)
    content = {"type": "reasoning_text", "text": ""}
    done = {**item, "content": [{**content, "text": text}]}
    return _Part(item, done, "reasoning_text", choice.reasoning, content, text)


def _text(choice: Choice, item_id: str, status: str, filler: str) -> _Part:
    item = {"id": item_id, "type": "message", "role": "assistant"}
    text = "".join(choice.pieces) + filler
    content = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    begun = {**item, "content": [], "status": "in_progress"}
    done = {**item, "content": [{**content, "text": text}], "status": status}
    return _Part(begun, done, "output_text", choice.pieces, content, text)
