"""Chat completion chunks as events of a stream: everything that does not change is encoded once."""

from typing import Any

import msgspec

from extproc.translate.failure import Failure
from extproc.translate.openai_anthropic.provider import Block, FinishReason, Usage, tier_of
from extproc.translate.problem import problem_of
from headgate.error_shapes import rendered

DONE = b"data: [DONE]\n\n"

_json = msgspec.json.encode

_END = b'},"logprobs":null,"finish_reason":null}]}\n\n'
_TEXT = b'"content":'
_REASONING = b'"reasoning_content":'


class Chunks:
    """The chunks of one answer."""

    def __init__(self, answer_id: str, created: int, model: str, usage: Usage | None) -> None:
        head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + _json(head | tier_of(usage))[:-1]
        self._start = self._head + b',"choices":[{"index":0,"delta":{'
        self._text = self._start + _TEXT

    def role(self, content: str | None) -> bytes:
        """The first chunk."""
        return self._start + b'"role":"assistant","content":' + _json(content) + _END

    def text(self, text: str) -> bytes:
        """Some of the answer's text."""
        return self._text + _json(text) + _END

    def reasoning(self, text: str) -> bytes:
        """Some of the thinking."""
        return self._start + _REASONING + _json(text) + _END

    def thought(self, number: int, thought: dict[str, Any]) -> bytes:
        """A block of thinking, complete, as clients must send it back."""
        return self._delta({"thinking_blocks": [{"index": number, **thought}]})

    def annotations(self, number: int, annotations: list[dict[str, Any]]) -> bytes:
        """The sources of some text."""
        numbered = [{"index": at, **annotation} for at, annotation in enumerate(annotations, number)]
        return self._delta({"annotations": numbered})

    def call(self, number: int, block: Block, *, functions: bool) -> bytes:
        """The start of a tool call. Of functions, a client can be told one."""
        function = {"name": block.name, "arguments": ""}
        if functions:
            return self._delta({"function_call": function}) if number == 0 else b""
        return self._delta(
            {"tool_calls": [{"index": number, "id": block.id, "type": "function", "function": function}]}
        )

    def arguments(self, number: int, text: str, *, functions: bool) -> bytes:
        """Some of a tool call's arguments."""
        function = {"arguments": text}
        if functions:
            return self._delta({"function_call": function})
        return self._delta({"tool_calls": [{"index": number, "function": function}]})

    def refusal(self, text: str) -> bytes:
        """Why the provider refused."""
        return self._delta({"refusal": text})

    def finish(self, reason: FinishReason) -> bytes:
        """The last chunk with a choice."""
        return self._start + b'},"logprobs":null,"finish_reason":' + _json(reason) + b"}]}\n\n"

    def usage(self, usage: dict[str, Any] | None) -> bytes:
        """The chunk without choices."""
        return self._head + b',"choices":[],"usage":' + _json(usage) + b"}\n\n"

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._start + _json(delta)[1:-1] + _END


def error_event(failure: Failure) -> bytes:
    """The end of a stream that has failed."""
    return b"data: " + rendered("openai", problem_of(failure), None) + b"\n\n"
