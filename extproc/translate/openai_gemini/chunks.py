"""Chat completion chunks of answers side by side, as events of a stream: what does not change is encoded once."""

from typing import Any

import msgspec

from extproc.translate.openai_gemini.provider import FinishReason

_json = msgspec.json.encode

_END = b'},"logprobs":null,"finish_reason":null}]}\n\n'


class Chunks:
    """The chunks of one stream."""

    def __init__(self, answer_id: str, created: int, model: str) -> None:
        head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + _json(head)[:-1]

    def of_choice(self, index: int) -> "ChoiceChunks":
        """Those of one answer."""
        return ChoiceChunks(self._head + b',"choices":[{"index":%d,"delta":{' % index)

    def usage(self, usage: dict[str, Any] | None) -> bytes:
        """The chunk without choices."""
        return self._head + b',"choices":[],"usage":' + _json(usage) + b"}\n\n"


class ChoiceChunks:
    """The chunks of one answer."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._text = start + b'"content":'

    def role(self, content: str | None) -> bytes:
        """The first chunk."""
        return self._start + b'"role":"assistant","content":' + _json(content) + _END

    def text(self, text: str) -> bytes:
        """Some of the answer's text."""
        return self._text + _json(text) + _END

    def delta(self, delta: dict[str, Any]) -> bytes:
        """Anything that is added."""
        return self._start + _json(delta)[1:-1] + _END

    def logprobs(self, logprobs: dict[str, Any]) -> bytes:
        """How likely the tokens of the text before were."""
        return self._start + b'},"logprobs":' + _json(logprobs) + b',"finish_reason":null}]}\n\n'

    def finish(self, reason: FinishReason) -> bytes:
        """The last chunk."""
        return self._start + b'},"logprobs":null,"finish_reason":' + _json(reason) + b"}]}\n\n"
