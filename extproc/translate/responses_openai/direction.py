"""The direction itself: what each of its calls is made of."""

from collections.abc import Callable
from typing import Any

from extproc.fit import Fit, fit_of, fitted
from extproc.refusal import BadRequest
from extproc.translate.chat import Chat
from extproc.translate.direction import Known, ProviderRequest, Target
from extproc.translate.encode import json_bytes
from extproc.translate.failure import Failure
from extproc.translate.openai_errors import failure_in
from extproc.translate.responses_openai.request import limit_of, translated
from extproc.translate.responses_openai.stream import Decoder
from extproc.translate.responses_openai.whole import whole_of

_ANY_TARGET = Target("", "")


class ResponsesToOpenAI:
    """Clients of /v1/responses on providers of /v1/chat/completions."""

    def chat(self, body: dict[str, Any], target: Target) -> Chat:
        """The request as a chat completion, for a further direction. Raises BadRequest."""
        return translated(body, target, extended=True)

    def unsupported(self, body: dict[str, Any], target: Target = _ANY_TARGET) -> tuple[str, ...]:
        """What OpenAI's chat API, or the target that differs from it, cannot do, by name. Raises BadRequest."""
        chat = translated(body, target, extended=False)
        fit = fit_of(target.preset, chat.body)
        return (*chat.unsupported, *_named(chat, fit.unsupported if fit else ()))

    def request(self, body: dict[str, Any], target: Target) -> ProviderRequest:
        """The request. `dropped` also names what is always left out, since the answer does not depend on it."""
        chat = translated(body, target, extended=False)
        fit = fit_of(target.preset, chat.body)
        asked, limit = limit_of(body), chat.body.get("max_completion_tokens")
        return ProviderRequest(
            "/chat/completions",
            json_bytes(fitted(asked_of(chat), fit)),
            dropped=_dropped(chat, fit),
            max_tokens=limit if limit != asked else None,
            echo=chat.echo,
        )

    def whole(self, body: bytes, known: Known) -> bytes | Failure:
        """A response, or why the provider's answer is none."""
        return whole_of(body, known)

    def stream(self, known: Known, read_error: Callable[[bytes], Failure] = failure_in) -> Decoder:
        """A decoder of one stream; `read_error` tells what an error in it means."""
        return Decoder(known, read_error)


def asked_of(chat: Chat) -> dict[str, Any]:
    """The body, if there is anything in it to answer. Raises BadRequest."""
    if chat.body["messages"]:
        return chat.body
    raise BadRequest("Nothing in 'input' can be sent to the provider.", param="input", code="invalid_value")


def _dropped(chat: Chat, fit: Fit | None) -> tuple[str, ...]:
    """All that the client is told of: first what it may be refused for."""
    unsupported, aside = (fit.unsupported, fit.left_out) if fit else ((), ())
    names = (*chat.unsupported, *_named(chat, unsupported), *chat.left_out, *_named(chat, aside))
    return tuple(dict.fromkeys(names))


def _named(chat: Chat, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in chat.all_said_as(names) if name not in chat.unsupported)
