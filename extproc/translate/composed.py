"""A direction made of two: a client's API to chat completions, and these to a provider's API.

Still sans-IO, and nothing waits between the two. The first half knows nothing of the target, so that what the target
cannot do is the second half's to say; the client is told of it by its own names.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol

from extproc.refusal import BadRequest
from extproc.translate.chat import Chat
from extproc.translate.direction import Direction, Known, ProviderRequest, StreamDecoder, Target
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in


class ToChat(Protocol):
    """The first half: requests become chat completions, and their answers the client's."""

    def chat(self, body: dict[str, Any], target: Target) -> Chat:
        """The request as a chat completion. Raises BadRequest."""

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """As of a direction."""

    def stream(self, known: Known, read_error: Callable[[bytes], Failure]) -> StreamDecoder:
        """As of a direction; `read_error` tells what an error in the stream means."""


class Composed:
    """The direction."""

    def __init__(self, first: ToChat, second: Direction) -> None:
        self._first = first
        self._second = second

    def unsupported(self, body: dict[str, Any], target: Target) -> tuple[str, ...]:
        """What has no place in a chat completion, and what of one the target cannot do. Raises BadRequest."""
        chat = self._chat(body, target)
        if not chat.body["messages"]:  # what is left out is all that there is
            return chat.unsupported
        with _in_words_of(chat):
            return _each_once(chat.unsupported, chat.all_said_as(self._second.unsupported(chat.body, target)))

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The provider's request."""
        chat = self._chat(body, target)
        if not chat.body["messages"]:
            raise BadRequest("Nothing of what is asked can be sent to the provider.", code="invalid_value")
        with _in_words_of(chat):
            made = self._second.request(chat.body, target)
        dropped = _each_once(chat.unsupported, chat.all_said_as(made.dropped), chat.left_out)
        return replace(made, dropped=dropped, echo=chat.echo)

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """The answer as the client's; a failure of the provider's is that."""
        made = self._second.whole(body, _of_chat(known))
        return made if isinstance(made, Failure) else self._first.whole(made, known)

    def stream(self, known: Known) -> "ComposedDecoder":
        """A decoder into a decoder."""
        return ComposedDecoder(self._second.stream(_of_chat(known)), self._first, known)

    def _chat(self, body: dict[str, Any], target: Target) -> Chat:
        return self._first.chat(body, Target(target.provider, target.model))


class ComposedDecoder:
    """One stream."""

    def __init__(self, provider: StreamDecoder, first: ToChat, known: Known) -> None:
        self.started = False
        self.failure: Failure | None = None
        self._provider = provider
        self._client = first.stream(known, self._read_error)

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes; may be nothing."""
        return b"" if self.failure else self._told(self._provider.feed(data))

    def end(self) -> bytes:
        """What is left, or an error: a chat stream that is whole has ended with [DONE] by now."""
        return b"" if self.failure else self._told(self._provider.end())

    def _told(self, chunks: bytes) -> bytes:
        """The chunks in the client's API. Those of a stream that fails end with its error."""
        out = self._client.feed(chunks) if chunks else b""
        self.started = self._client.started
        self.failure = self._provider.failure or self._client.failure
        return out

    def _read_error(self, event: bytes) -> Failure:
        """The provider's failure itself, of which the event in between says less."""
        return self._provider.failure or failure_in(event)


@contextmanager
def _in_words_of(chat: Chat) -> Iterator[None]:
    """Tells of a client's mistake by the client's own path, where the second half has found it."""
    try:
        yield
    except BadRequest as error:
        path = error.param and chat.said_as(error.param)
        if path is None or path == error.param:
            raise
        message = error.message.replace(f"'{error.param}'", f"'{path}'")
        raise BadRequest(message, param=path, code=error.code) from None


def _of_chat(known: Known) -> Known:
    """For the second half, whose client is the first: nothing of the client's own request concerns it."""
    return Known(known.request_id, known.created, model=known.model)


def _each_once(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(names)))
