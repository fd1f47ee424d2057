"""Embeddings: OpenAI's `input` as one batchEmbedContents of Gemini's, and the vectors back. They never stream."""

import base64
import struct
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import Notes
from extproc.translate.direction import Known, ProviderRequest, StreamDecoder, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.gemini_errors import failure_in_stream
from extproc.translate.openai_gemini.path import bare_name, method_path, model_name
from extproc.translate.walk import checked_kind, count_of, list_of, shown, text_of

_CARRIED = ("model", "input", "dimensions", "encoding_format", "user")
_ANY_TARGET = Target("", "")


class _Embedding(msgspec.Struct):
    values: list[float]


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding] | None = None
    usage_metadata: _Usage | None = None
    error: Any = None


_answer = msgspec.json.Decoder(_Answer)


class EmbeddingsToGemini:
    """The direction."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Gemini's API cannot do: tokens for input, and unknown ones. Raises BadRequest."""
        return _translated(body, target)[1].unsupported

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to the model's batchEmbedContents. Raises BadRequest, also where nothing is left to ask."""
        requests, notes = _translated(body, target)
        if not requests:
            raise BadRequest("'input' has nothing in it that Gemini takes.", param="input", code="invalid_value")
        try:
            sent = msgspec.json.encode({"requests": requests})
        except UnicodeEncodeError as error:
            raise refuse_unencodable(error) from None
        path = method_path(target.model, "batchEmbedContents")
        return ProviderRequest(path, sent, dropped=(*notes.unsupported, *notes.left_out))

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The vectors, in the encoding that the client asked for."""
        try:
            answer = _answer.decode(body)
            if answer.error is not None:
                return failure_in_stream(answer.error)
            return msgspec.json.encode(_list(answer, known))
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError):
            return Failure.of("malformed", "The provider's answer is not one in its API's form.")

    def stream(self, known: Known) -> StreamDecoder:
        """There is none."""
        raise LookupError(f"the embeddings of {known.request_id} cannot be streamed")


def _translated(body: dict[str, Any], target: Target) -> tuple[list[dict[str, Any]], Notes]:
    notes = Notes()
    for name, value in body.items():
        if value is not None and name not in _CARRIED:
            notes.no_place(shown(name))
    if body.get("user") is not None:
        notes.leave_out("user")
    checked_kind(body.get("encoding_format") or "float", "encoding_format", ("float", "base64"))
    more: dict[str, Any] = {"model": model_name(target.model)}
    if body.get("dimensions") is not None:
        more["outputDimensionality"] = count_of(body["dimensions"], "dimensions")
    return [{**more, "content": {"parts": [{"text": text}]}} for text in _texts(body.get("input"), notes)], notes


def _texts(given: Any, notes: Notes) -> list[str]:
    if isinstance(given, str):
        return [given]
    found = list_of(given, "input")
    if found and isinstance(found[0], int | list):  # tokens of another model's vocabulary
        notes.no_place("input")
        return []
    return [text_of(text, f"input[{number}]") for number, text in enumerate(found)]


def _list(answer: _Answer, known: Known) -> dict[str, Any]:
    if not answer.embeddings:
        raise ValueError("there are no vectors")
    usage = answer.usage_metadata
    prompt = usage and usage.prompt_token_count
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": vector(one.values, as_base64=known.as_base64)}
            for number, one in enumerate(answer.embeddings)
        ],
        "model": bare_name(known.model),
        "usage": None if prompt is None else {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def vector(values: list[float], *, as_base64: bool) -> list[float] | str:
    """As OpenAI's API has one; its base64 is of little-endian 32-bit numbers."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if as_base64 else values
