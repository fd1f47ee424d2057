"""Rankings: a request of /v1/rerank, which is Cohere's own as Jina and vLLM have it, to v2 rerank, and its answer.

v2 takes texts alone and gives none back. A document that cannot be sent is never left out: the numbers in the answer
would be those of others.
"""

import math
from typing import Any

import msgspec

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import Notes
from extproc.translate.cohere_errors import failure_in_stream
from extproc.translate.direction import Known, ProviderRequest, StreamDecoder, Target
from extproc.translate.encode import refuse_unencodable
from extproc.translate.failure import Failure
from extproc.translate.openai_cohere.provider import whole_number
from extproc.translate.walk import count_of, list_of, number_of, shown, text_of

_COUNTS = ("top_n", "max_tokens_per_doc")
_CARRIED = ("model", "query", "documents", "return_documents", *_COUNTS, "priority")
_ANY_TARGET = Target("", "")


class _Billed(msgspec.Struct):
    search_units: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct):
    id: str | None = None
    results: list[_Result] | None = None
    meta: _Meta | None = None
    message: str | None = None


_answer = msgspec.json.Decoder(_Answer)


class RerankToCohere:
    """The direction."""

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """The parameters that Cohere's API cannot do: documents given back or other than text, and unknown ones.

        Raises BadRequest."""
        return _translated(body, target)[1].unsupported

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request to POST /v2/rerank. Raises BadRequest, also for a query or a document that cannot be sent."""
        made, notes = _translated(body, target)
        for name in notes.unsupported:
            if name == "query" or name.startswith("documents["):
                raise BadRequest(f"'{name}' is nothing that Cohere ranks.", param=name, code="invalid_value")
        try:
            return ProviderRequest("/rerank", msgspec.json.encode(made), dropped=notes.unsupported)
        except UnicodeEncodeError as error:
            raise refuse_unencodable(error) from None

    def whole(self, body: bytes, known: Known) -> bytes | Failure:  # noqa: ARG002
        """The ranking, with what Cohere charges for it in `meta`."""
        try:
            answer = _answer.decode(body)
            if answer.results is None and answer.message:
                return failure_in_stream(answer.message)
            return msgspec.json.encode(_ranking(answer))
        except (msgspec.DecodeError, ValueError, RecursionError, OverflowError):
            return Failure.of("malformed", "The provider's answer is not one in its API's form.")

    def stream(self, known: Known) -> StreamDecoder:
        """There is none."""
        raise LookupError(f"the ranking of {known.request_id} cannot be streamed")


def _translated(body: dict[str, Any], target: Target) -> tuple[dict[str, Any], Notes]:
    notes = Notes()
    for name, value in body.items():
        if value is not None and name not in _CARRIED:
            notes.no_place(shown(name))
    if body.get("return_documents"):
        notes.no_place("return_documents")
    made: dict[str, Any] = {"model": target.model, "query": _text(body.get("query"), "query", notes)}
    documents = list_of(body.get("documents"), "documents")
    made["documents"] = [_text(given, f"documents[{at}]", notes) for at, given in enumerate(documents)]
    made |= {name: count_of(body[name], name) for name in _COUNTS if body.get(name) is not None}
    if body.get("priority") is not None:
        made["priority"] = number_of(body["priority"], "priority", 0, 999)
    return made, notes


def _text(given: Any, path: str, notes: Notes) -> str:
    """Text, or an object of nothing else. Others are pictures, or records of Cohere's v1."""
    if isinstance(given, dict):
        if given.keys() == {"text"}:
            return text_of(given["text"], f"{path}.text")
        notes.no_place(path)
        return ""
    return text_of(given, path)


def _ranking(answer: _Answer) -> dict[str, Any]:
    """Raises ValueError."""
    if answer.results is None or any(one.index < 0 for one in answer.results):
        raise ValueError("there is no ranking")
    billed = answer.meta.billed_units if answer.meta else None
    units = None if billed is None or billed.search_units is None else whole_number(math.ceil(billed.search_units))
    return {
        "id": answer.id,
        "results": answer.results,
        "meta": {"billed_units": None if units is None else {"search_units": units}},
    }
