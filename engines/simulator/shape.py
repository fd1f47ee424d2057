"""What differs between the two APIs: the bytes of replies, events and errors. A table, one row each. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from engines.simulator.answer import Answer
from engines.simulator.bodies import StreamOptions
from engines.simulator.errors import (
    error_body,
    error_object_body,
    messages_error_body,
    messages_error_object_body,
)
from engines.simulator.messages_reply import message_body
from engines.simulator.messages_stream import broken_message_event, message_events
from engines.simulator.reply import reply_body
from engines.simulator.stream import Event, broken_event, stream_events


class Refusal(Protocol):
    """Makes an error body; a shape leaves out what it has no place for."""

    def __call__(
        self,
        status: int,
        message: str,
        request_id: str,
        *,
        error_type: str | None = None,
        param: str | None = None,
        code: str | None = None,
    ) -> bytes:
        """Return the body."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an answer, whole or streamed, and an error look. `error` takes an error object that is complete."""

    reply: Callable[[Answer], bytes]
    events: Callable[[Answer, StreamOptions | None], Iterator[Event]]
    broken: Callable[[Answer], bytes]
    refusal: Refusal
    error: Callable[[dict[str, Any], str], bytes]


def _openai_refusal(
    status: int,
    message: str,
    request_id: str,  # noqa: ARG001 - OpenAI says it in a header alone
    *,
    error_type: str | None = None,
    param: str | None = None,
    code: str | None = None,
) -> bytes:
    return error_body(status, message, error_type=error_type, param=param, code=code)


def _messages_refusal(
    status: int,
    message: str,
    request_id: str,
    *,
    error_type: str | None = None,  # noqa: ARG001 - OpenAI's
    param: str | None = None,
    code: str | None = None,  # noqa: ARG001 - OpenAI's
) -> bytes:
    return messages_error_body(status, f"{param}: {message}" if param else message, request_id)


OPENAI: Final = Shape(
    reply=reply_body,
    events=stream_events,
    broken=broken_event,
    refusal=_openai_refusal,
    error=lambda error, _request_id: error_object_body(error),
)
MESSAGES: Final = Shape(
    reply=message_body,
    events=message_events,
    broken=broken_message_event,
    refusal=_messages_refusal,
    error=messages_error_object_body,
)
