"""Embeddings: OpenAI's `input` as the texts of one request to Cohere's embed, and the vectors back, never streamed.

Cohere's models embed documents and queries differently and have to be told which these are, and OpenAI's API has no
word for it: texts are documents unless the client gives Cohere's own `input_type`.
"""

import base64
import struct
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import Notes
from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.direction import Known, ProviderRequest, StreamDecoder, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere.provider import BilledUnits, whole_number
from extproc.translate.walk import checked_kind, count_of, list_of, shown, text_of

MOST_TEXTS = 96  # of one request

_TOO_MANY = f"input[{MOST_TEXTS}]"
_CARRIED = ("model", "input", "input_type", "dimensions", "encoding_format", "user")
_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
_ANY_TARGET = Target("", "")


class _Embeddings(msgspec.Struct):
    vectors: list[list[float]] | None = msgspec.field(default=None, name="float")


class _Meta(msgspec.Struct):
    billed_units: BilledUnits | None = None


class _Answer(msgspec.Struct):
    embeddings: _Embeddings | None = None
    meta: _Meta | None = None
    message: str | None = None


_answer = msgspec.json.Decoder(_Answer)


class EmbeddingsToCohere:
    """The direction."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Cohere's API cannot do: tokens for input, too many texts, and unknown ones.

        Raises BadRequest."""
        return _translated(body, target)[1].unsupported

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to POST /v2/embed. Raises BadRequest, also where nothing is left to ask.

        Too many texts are sent, for Cohere to refuse: a part of them is no answer.
        """
        made, notes = _translated(body, target)
        if not made["texts"]:
            raise BadRequest("'input' has nothing in it that Cohere takes.", param="input", code="invalid_value")
        try:
            sent = msgspec.json.encode(made)
        except UnicodeEncodeError as error:
            raise refuse_unencodable(error) from None
        dropped = (name for name in (*notes.unsupported, *notes.left_out) if name != _TOO_MANY)
        return ProviderRequest("/embed", sent, dropped=tuple(dropped))

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The vectors, in the encoding that the client asked for."""
        try:
            answer = _answer.decode(body)
            if answer.embeddings is None and answer.message:
                return failure_in_stream(answer.message)
            return msgspec.json.encode(_list(answer, known))
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError):
            return Failure.of("malformed", "The provider's answer is not one in its API's form.")

    def stream(self, known: Known) -> StreamDecoder:
        """There is none."""
        raise LookupError(f"the embeddings of {known.request_id} cannot be streamed")


def _translated(body: dict[str, Any], target: Target) -> tuple[dict[str, Any], Notes]:
    notes = Notes()
    for name, value in body.items():
        if value is not None and name not in _CARRIED:
            notes.no_place(shown(name))
    if body.get("user") is not None:
        notes.leave_out("user")
    checked_kind(body.get("encoding_format") or "float", "encoding_format", ("float", "base64"))
    made: dict[str, Any] = {"model": target.model, "texts": _texts(body.get("input"), notes)}
    made["input_type"] = checked_kind(body.get("input_type") or _INPUT_TYPES[0], "input_type", _INPUT_TYPES)
    made["embedding_types"] = ["float"]
    made["truncate"] = "NONE"  # a text that is too long is an error, as it is at OpenAI
    if body.get("dimensions") is not None:
        made["output_dimension"] = count_of(body["dimensions"], "dimensions")
    return made, notes


def _texts(given: Any, notes: Notes) -> list[str]:
    if isinstance(given, str):
        return [given]
    found = list_of(given, "input")
    if found and isinstance(found[0], int | list):  # tokens of another model's vocabulary
        notes.no_place("input")
        return []
    if len(found) > MOST_TEXTS:
        notes.no_place(_TOO_MANY)
    return [text_of(text, f"input[{number}]") for number, text in enumerate(found)]


def _list(answer: _Answer, known: Known) -> dict[str, Any]:
    vectors = answer.embeddings and answer.embeddings.vectors
    if not vectors:
        raise ValueError("there are no vectors")
    billed = answer.meta.billed_units if answer.meta else None
    prompt = None if billed is None or billed.input_tokens is None else whole_number(billed.input_tokens)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": _vector(values, as_base64=known.as_base64)}
            for number, values in enumerate(vectors)
        ],
        "model": known.model,
        "usage": None if prompt is None else {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def _vector(values: list[float], *, as_base64: bool) -> list[float] | str:
    """OpenAI's base64 is of little-endian 32-bit numbers."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if as_base64 else values
