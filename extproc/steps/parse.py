"""The body: one JSON object whose known parameters have the right types. The rest is the provider's to judge."""

from typing import Any

from extproc.body import read
from extproc.document import Document
from extproc.exchange import Exchange
from extproc.form import Form
from extproc.multipart import is_form
from extproc.refusal import BadRequest, TooLarge
from extproc.surface import Surface, Types, json_type
from extproc.surfaces import MESSAGES

# Top-level fields that are the gateway's own. They never reach a provider.
_RESERVED = ("headgate", "rag")

# Of Anthropic's messages. OpenAI's have more roles, and content may be missing.
_ROLES = ("user", "assistant", "system")
_CONTENT = Types((str, list), required=True)

# About 0.2 s of reading at worst; the largest token lists that providers take have 300,000.
_VALUES_LIMIT = 500_000


def parse(exchange: Exchange) -> None:
    """Fills `document`."""
    surface = exchange.surface
    limit = exchange.snapshot.max_body_bytes
    if len(exchange.raw_body) > limit:  # exact here: Envoy's own limit leaves room for what the steps add
        raise TooLarge(
            f"The request body is larger than the {limit} bytes that this gateway accepts.", code="request_too_large"
        )
    if not exchange.raw_body:
        what = "a JSON object" if surface.json else "a form"
        raise BadRequest(f"The request has no body; send {what}.", code="invalid_json")
    if not (surface.forms and is_form(exchange.incoming.content_type)):
        _check_size(exchange.raw_body)
    document = read(exchange.raw_body, exchange.incoming.content_type, surface)
    for name in _RESERVED:
        if name in document.members:
            raise BadRequest(
                f"The parameter '{name}' is reserved by the gateway and not supported by this version.",
                param=name,
                code="unsupported_parameter",
            )
    _check_types(document, surface)
    _check_content(document, surface)
    exchange.document = document


def _check_types(document: Document | Form, surface: Surface) -> None:
    for name in surface.required:
        if name not in document.members:
            raise _missing(name)
    for name, member in document.members.items():
        types = surface.parameters.get(name)
        if types is None:
            _check_spelling(name, surface)
        elif not types.accepts(member.value):
            raise _wrong_type(name, types, member.value)


def _check_spelling(name: str, surface: Surface) -> None:
    """Some providers match keys without regard to case: to them, `Model` would be the model."""
    meant = name.casefold()
    if meant in surface.parameters or meant in _RESERVED:
        raise BadRequest(f"Unknown parameter '{name}': did you mean '{meant}'?", param=name, code="unknown_parameter")


def _check_size(body: bytes) -> None:
    """Reading a body must not keep a worker from other tenants' requests for long."""
    if len(body) > _VALUES_LIMIT and body.count(b",") + body.count(b"[") + body.count(b"{") > _VALUES_LIMIT:
        raise BadRequest(
            f"The body has too many values: at most {_VALUES_LIMIT} commas and opening brackets are read.",
            code="too_many_values",
        )


def _wrong_type(name: str, types: Types | str, value: Any) -> BadRequest:
    return BadRequest(
        f"Invalid type for '{name}': expected {types}, found {json_type(value)}.",
        param=name,
        code="invalid_type",
    )


def _missing(name: str) -> BadRequest:
    return BadRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def _bad_value(name: str, what: str) -> BadRequest:
    return BadRequest(f"The parameter '{name}' {what}.", param=name, code="invalid_value")


def _check_content(document: Document | Form, surface: Surface) -> None:
    """What types alone do not say of the parameters that decide where a request goes and what it costs."""
    if document.get("model") == "":
        raise _bad_value("model", "is empty")
    if surface.prompt == "messages":
        _check_messages(document.get("messages"))
    if surface.api == "anthropic":
        _check_turns(document.get("messages"))
    if surface is MESSAGES and document.get("max_tokens") < 0:
        raise _bad_value("max_tokens", "is negative")
    if document.get(surface.prompt) == [] and surface.prompt in surface.required:
        raise _bad_value(surface.prompt, "is an empty array")
    if surface.asks_usage and isinstance(document, Document):
        _check_stream_options(document)


def _check_stream_options(document: Document) -> None:
    document.check_inside("stream_options")
    options = document.get("stream_options")
    include = options.get("include_usage") if options else None
    if include is not None and not isinstance(include, bool):
        raise _wrong_type("stream_options.include_usage", "a boolean", include)


def _check_messages(messages: list[Any]) -> None:
    if not messages:
        raise _bad_value("messages", "is an empty array; at least one message is needed")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _wrong_type(f"messages[{index}]", "an object", message)
        if "role" not in message:
            raise _missing(f"messages[{index}].role")
        if not isinstance(message["role"], str):
            raise _wrong_type(f"messages[{index}].role", "a string", message["role"])


def _check_turns(messages: list[Any]) -> None:
    """What Anthropic's messages must have."""
    for index, message in enumerate(messages):
        role = message["role"]
        if role not in _ROLES:
            expected = " or ".join(f"'{name}'" for name in _ROLES)
            raise _bad_value(f"messages[{index}].role", f"is '{role[:40]}'; expected {expected}")
        if "content" not in message:
            raise _missing(f"messages[{index}].content")
        if not _CONTENT.accepts(message["content"]):
            raise _wrong_type(f"messages[{index}].content", _CONTENT, message["content"])
