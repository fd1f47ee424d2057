"""ext_proc on the wire for one attempt: its request, and where it is translated its answer too.

Beside `extproc.codec` the one place in extproc that knows Envoy's messages. Answers go back FULL_DUPLEX_STREAMED:
any number of pieces for any number of pieces, and the headers when we are ready.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from headgate.contract import (
    ANSWERED,
    ATTEMPT,
    ATTEMPT_PATH,
    DROPPED,
    ERROR_SOURCE,
    INPUT_TOKENS,
    MAX_TOKENS,
    REQUEST,
    REQUEST_ID,
    TRANSLATE,
)
from headgate.wire.ext_proc_pb2 import (
    BodyResponse,
    HeaderMutation,
    HeadersResponse,
    ProcessingRequest,
    ProcessingResponse,
    TrailersResponse,
)
from headgate.wire.http_pb2 import HeaderValueOption

Message = ProcessingRequest

CONTINUE = ProcessingResponse(request_headers=HeadersResponse()).SerializeToString()
GO_ON = ProcessingResponse(response_headers=HeadersResponse()).SerializeToString()  # a head, as it is
BODY_GOES_ON = ProcessingResponse(request_body=BodyResponse()).SerializeToString()  # a request's, as it is
PIECE_GOES_ON = ProcessingResponse(response_body=BodyResponse()).SerializeToString()
TRAILERS = ProcessingResponse(response_trailers=TrailersResponse()).SerializeToString()

_NOTES = (DROPPED, MAX_TOKENS)  # headers for the client that say what was changed of its request
_OVERWRITE = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True)
class Attempted:
    """Which attempt of which request this is; `attempts` is the plan's text, "" when the plan has none.

    `notes`, `functions`, `echo` and, where it comes whole, `as_base64` are what its request half has left for its
    answer.
    """

    number: int
    request_id: str
    surface: str
    attempts: str
    notes: tuple[tuple[str, str], ...] = ()
    functions: bool = False
    as_base64: bool = False
    echo: str = ""
    content_type: str = ""  # of the request
    marks: Mapping[str, str] = field(default_factory=dict)  # for the metadata of what is stored
    tenant: str = ""  # whose list of stored completions is asked for
    key_models: frozenset[str] | None = None  # to which the key that asks for it is confined


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """The head of a provider's answer."""

    status: int
    content_type: str
    content_encoding: str
    ends: bool
    input_tokens: int | None = None  # Bedrock tells them here, where the body does not


def kind(message: ProcessingRequest) -> str | None:
    """Which part of the exchange the message holds."""
    part: str | None = message.WhichOneof("request")
    return part


def attempted(message: ProcessingRequest) -> Attempted:
    """The headers message, with the plan from the metadata."""
    headers = {header.key: header.raw_value for header in message.request_headers.headers.headers}
    fields = message.metadata_context.filter_metadata[REQUEST].fields
    return Attempted(
        number=int(headers.get("x-envoy-attempt-count", b"1")),
        request_id=headers.get(REQUEST_ID, b"").decode("utf-8", "replace"),
        surface=fields["surface"].string_value,
        attempts=fields["attempts"].string_value,
        content_type=headers.get("content-type", b"").decode("utf-8", "replace"),
        marks=msgspec.json.decode(marks, type=dict[str, str]) if (marks := fields["marks"].string_value) else {},
        tenant=fields["tenant"].string_value,
        key_models=msgspec.json.decode(listed, type=frozenset[str]) if (listed := _listed(fields)) else None,
    )


def _listed(fields: Mapping[str, Any]) -> str:
    text: str = fields["key_models"].string_value if "key_models" in fields else ""
    return text


def answered(message: ProcessingRequest) -> Attempted:
    """The same from the head of an answer: which attempt's it is stands in the metadata."""
    namespaces = message.metadata_context.filter_metadata
    request, attempt = namespaces[REQUEST].fields, namespaces[ATTEMPT].fields
    return Attempted(
        number=int(attempt["number"].number_value),
        request_id=attempt["request_id"].string_value,
        surface=request["surface"].string_value,
        attempts=request["attempts"].string_value,
        notes=tuple((name, attempt[name].string_value) for name in _NOTES if attempt[name].string_value),
        functions=attempt["functions"].bool_value,
        echo=attempt["echo"].string_value,
    )


def body_of(message: ProcessingRequest) -> bytes:
    """The request's body, as Envoy has kept it since it was planned."""
    return message.request_body.body


def request(
    body: bytes, path: str, headers: Iterable[tuple[str, str]] = (), *, what: Attempted | None = None
) -> bytes:
    """What this attempt sends; `what` is kept for whoever translates its answer."""
    response = ProcessingResponse()
    common = response.request_body.response
    common.body_mutation.body = body
    _set(common.header_mutation, "content-length", str(len(body)))
    _set(common.header_mutation, ATTEMPT_PATH, path)
    for name, value in headers:
        _set(common.header_mutation, name, value)
    if what:
        kept: dict[str, Any] = dict.fromkeys(_NOTES, "") | dict(what.notes)
        kept |= {"number": what.number, "request_id": what.request_id, "functions": what.functions}
        if what.echo:
            kept["echo"] = what.echo
        response.dynamic_metadata.update({ATTEMPT: kept})
    return response.SerializeToString()


def refused(status: int, body: bytes) -> bytes:
    """The attempt ends before it is sent."""
    response = ProcessingResponse()
    immediate = response.immediate_response
    immediate.status.code = status
    immediate.body = body
    immediate.details = "extproc"
    _set(immediate.headers, "content-type", "application/json")
    _set(immediate.headers, ERROR_SOURCE, "gateway")
    if status < 500:  # no further attempt follows, of which the mark would speak
        response.dynamic_metadata.update({ATTEMPT: {ANSWERED: True}})
    return response.SerializeToString()


def head_of(message: ProcessingRequest) -> AnswerHead:
    """The head of the provider's answer."""
    headers = {header.key: header.raw_value for header in message.response_headers.headers.headers}
    return AnswerHead(
        status=int(headers.get(":status", b"0")),
        content_type=_text(headers.get("content-type")),
        content_encoding=_text(headers.get("content-encoding")),
        ends=message.response_headers.end_of_stream,
        input_tokens=int(counted) if (counted := headers.get(INPUT_TOKENS, b"")).isdigit() else None,
    )


def piece_of(message: ProcessingRequest) -> tuple[bytes, bool]:
    """A piece of the provider's answer, and whether it is the last one."""
    return message.response_body.body, message.response_body.end_of_stream


def head(status: int, headers: Iterable[tuple[str, str]], remove: Iterable[str]) -> bytes:
    """The head of the answer as it goes on."""
    response = ProcessingResponse()
    mutation = response.response_headers.response.header_mutation
    _set(mutation, ":status", str(status))
    for name, value in headers:
        _set(mutation, name, value)
    mutation.remove_headers.extend((*remove, TRANSLATE, INPUT_TOKENS))
    return response.SerializeToString()


def whole(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """An answer in the place of one that has no body, to which none can be added."""
    response = ProcessingResponse()
    common = response.response_headers.response
    common.status = common.CONTINUE_AND_REPLACE
    common.body_mutation.body = body
    for name, value in ((":status", str(status)), ("content-length", str(len(body))), *headers):
        _set(common.header_mutation, name, value)
    common.header_mutation.remove_headers.append(TRANSLATE)
    return response.SerializeToString()


def piece(data: bytes, *, last: bool) -> bytes:
    """A piece of the answer as it goes on."""
    response = ProcessingResponse()
    streamed = response.response_body.response.body_mutation.streamed_response
    streamed.body, streamed.end_of_stream = data, last
    return response.SerializeToString()


def before_trailers(message: bytes) -> bytes:
    """A message that stood for the end of an answer, when trailers still follow."""
    response = ProcessingResponse.FromString(message)
    if response.HasField("response_body"):
        response.response_body.response.body_mutation.streamed_response.end_of_stream = False
    return response.SerializeToString()


def _set(mutation: HeaderMutation, name: str, value: str) -> None:
    option = mutation.set_headers.add()
    option.header.key, option.header.raw_value, option.append_action = name, value.encode(), _OVERWRITE


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace").strip().lower()
