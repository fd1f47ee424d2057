"""What OpenAI's own types make of a request."""

from collections.abc import Iterable
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import TypeAdapter

_REQUEST: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams)


def checked_openai(body: dict[str, Any]) -> Any:
    """The request, of which every member is one that OpenAI's API names. Raises pydantic.ValidationError."""
    return read(_REQUEST.validate_python(body, extra="forbid"))


def read(value: Any) -> Any:
    """The value, whole: pydantic looks at the items of an iterable when they are asked for."""
    if isinstance(value, dict):
        return {name: read(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [read(item) for item in value]
    return value
