"""Embeddings: OpenAI's `input` as an InvokeModel of the model's own making, and the vectors back. They never stream.

Of the makers of such models two are known: Amazon's Titan takes one text at a time, Cohere's Embed many at once.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.bedrock_errors import failure_in_answer
from extproc.translate.chat_notes import Notes
from extproc.translate.direction import Known, ProviderRequest, StreamDecoder, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_bedrock.path import method_path, shown_model
from extproc.translate.openai_gemini.embeddings import vector
from extproc.translate.walk import checked_kind, count_of, list_of, shown, text_of

_CARRIED = ("model", "input", "dimensions", "encoding_format", "user")
_ANY_TARGET = Target("", "")
_TITAN = re.compile(r"titan-embed-(?:text-v(\d)|g1)")
_COHERE = re.compile(r"cohere\.embed-(?:v(\d)|[a-z]+-v3)")
_FIRST_WITH_SIZES = {"titan": 2, "cohere": 4}  # versions that make vectors of the size that is asked for
_MOST_TEXTS = 96  # Cohere's


class _Titan(msgspec.Struct, rename="camel"):
    embedding: list[float]
    input_text_token_count: int | None = None


class _ByType(msgspec.Struct):
    floats: list[list[float]] | None = msgspec.field(name="float", default=None)


class _Cohere(msgspec.Struct):
    embeddings: list[list[float]] | _ByType


_titan, _cohere = msgspec.json.Decoder(_Titan), msgspec.json.Decoder(_Cohere)


class EmbeddingsToBedrock:
    """The direction."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """What the target's model cannot do: other makers' models nothing at all. Raises BadRequest."""
        return _translated(body, target)[1].unsupported

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to the model's InvokeModel. Raises BadRequest, also where nothing is left to ask."""
        made, notes = _translated(body, target)
        if not made:
            raise BadRequest("'input' has nothing in it that the model takes.", param="input", code="invalid_value")
        try:
            sent = msgspec.json.encode(made)
        except UnicodeEncodeError as error:
            raise refuse_unencodable(error) from None
        path = method_path(target.model, "invoke")
        return ProviderRequest(path, sent, dropped=(*notes.unsupported, *notes.left_out))

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The vectors, in the encoding that the client asked for."""
        try:
            return msgspec.json.encode(_list(*_vectors(body, known), known))
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError):
            broken = Failure.of("malformed", "The provider's answer is not one in its API's form.")
            return failure_in_answer(body) or broken

    def stream(self, known: Known) -> StreamDecoder:
        """There is none."""
        raise LookupError(f"the embeddings of {known.request_id} cannot be streamed")


def _maker(model: str) -> tuple[str, int]:
    """Whose model it is, and which of its versions."""
    for maker, pattern, oldest in (("titan", _TITAN, 1), ("cohere", _COHERE, 3)):
        if match := pattern.search(model.lower()):
            return maker, int(match[1] or oldest)
    return "other", 0


def _translated(body: dict[str, Any], target: Target) -> tuple[dict[str, Any], Notes]:
    notes = Notes()
    for name, value in body.items():
        if value is not None and name not in _CARRIED:
            notes.no_place(shown(name))
    if body.get("user") is not None:
        notes.leave_out("user")
    checked_kind(body.get("encoding_format") or "float", "encoding_format", ("float", "base64"))
    size = None if body.get("dimensions") is None else count_of(body["dimensions"], "dimensions")
    maker, version = _maker(target.model)
    texts = _texts(body.get("input"), notes)
    if maker not in _WRITERS:
        notes.no_place("model")
        return {}, notes
    if size is not None and version < _FIRST_WITH_SIZES[maker]:
        notes.no_place("dimensions")
        size = None
    return (_WRITERS[maker](texts, size, notes) if texts else {}), notes


def _texts(given: Any, notes: Notes) -> list[str]:
    if isinstance(given, str):
        return [given]
    found = list_of(given, "input")
    if found and isinstance(found[0], int | list):  # tokens of another model's vocabulary
        notes.no_place("input")
        return []
    return [text_of(text, f"input[{number}]") for number, text in enumerate(found)]


def _ask_titan(texts: list[str], size: int | None, notes: Notes) -> dict[str, Any]:
    if len(texts) > 1:
        notes.no_place("input")
        return {}
    return {"inputText": texts[0], **({"dimensions": size} if size else {})}


def _ask_cohere(texts: list[str], size: int | None, notes: Notes) -> dict[str, Any]:
    if len(texts) > _MOST_TEXTS:
        notes.no_place("input")
        return {}
    # It has to be told what for; OpenAI's clients do not say. A text that is too long is an error, as at OpenAI.
    asked = {"texts": texts, "input_type": "search_document", "truncate": "NONE", "embedding_types": ["float"]}
    return asked | ({"output_dimension": size} if size else {})


def _vectors(body: bytes, known: Known) -> tuple[list[list[float]], int | None]:
    """The vectors, and how many tokens the input had."""
    if _maker(known.model)[0] == "titan":
        answer = _titan.decode(body)
        return [answer.embedding], answer.input_text_token_count
    found = _cohere.decode(body).embeddings
    vectors = found.floats if isinstance(found, _ByType) else found
    if not vectors:
        raise ValueError("there are no vectors")
    return vectors, known.input_tokens


def _list(vectors: list[list[float]], prompt: int | None, known: Known) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": vector(one, as_base64=known.as_base64)}
            for number, one in enumerate(vectors)
        ],
        "model": shown_model(known.model),
        "usage": None if prompt is None else {"prompt_tokens": prompt, "total_tokens": prompt},
    }


_WRITERS: dict[str, Callable[[list[str], int | None, Notes], dict[str, Any]]] = {
    "titan": _ask_titan,
    "cohere": _ask_cohere,
}
