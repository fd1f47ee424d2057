"""Refusals: what the client is told, apart from what the log is told.

Refusal                the request cannot go on; the client can read why
├── BadRequest         400: malformed, wrongly typed, or asking for what no target can do
│   └── ContextTooLong 400: larger than the context window of every target
├── UnknownCaller      401: the tenant has gone since its key was accepted
├── Forbidden          403: a target is named that the tenant may not choose
├── MethodNotAllowed   405: the URL exists, the method does not
├── BudgetUsed         429: every provider that could answer is over its budget
├── TooLarge           413: over listen.max_body
├── UnsupportedMedia   415: compressed
├── NotFound           404: no such model for this tenant, or no such URL
├── NoLookUp           503: it cannot be said whether there is such a thing
└── NoRoom             503: the record of the request could not be kept

Anything else that a step raises is our bug and becomes a 500 without details.
"""

from collections.abc import Sequence

_LISTED = 5  # a long conversation may have an unsupported part in every message


def printable(text: str) -> str:
    """The text with what UTF-8 cannot carry replaced: JSON escapes can spell half a surrogate pair."""
    return text.encode(errors="replace").decode()


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """An answer that says no. `kind` is OpenAI's `type` (https://platform.openai.com/docs/guides/error-codes)."""

    status = 500
    kind = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = printable(message)
        self.param = printable(param) if param else None
        self.code = code
        self.headers = headers or {}


class BadRequest(Refusal):
    """The client can mend the request."""

    status, kind = 400, "invalid_request_error"


class ContextTooLong(BadRequest):
    """No target of the model has a context window for the request; `window` is the largest one, in tokens."""

    def __init__(self, model: str, window: int, input_tokens: int, output_tokens: int | None, param: str) -> None:
        parts = f"{input_tokens} of input"
        if output_tokens:
            parts += f" and {output_tokens} for the answer"
        super().__init__(
            f"The model '{model}' has a context window of {window} tokens, and this request needs about "
            f"{input_tokens + (output_tokens or 0)}: {parts}. Shorten '{param}'"
            + (" or ask for a shorter answer." if output_tokens else "."),
            param=param,
            code="context_length_exceeded",
        )


def unsupported(parameters: Sequence[str], providers: Sequence[str]) -> BadRequest:
    """What no target can do: the client's parameters, and the providers that have no place for them."""
    one = len(parameters) == 1
    return BadRequest(
        f"The parameter{'' if one else 's'} {_listed(parameters)} {'is' if one else 'are'} not supported by the "
        f"provider{'' if len(providers) == 1 else 's'} {_listed(providers)}. "
        f"Remove {'it' if one else 'them'}, or set drop_unsupported for the model.",
        param=parameters[0],
        code="unsupported_parameter",
    )


def _listed(names: Sequence[str]) -> str:
    listed = [f"'{name}'" for name in names[:_LISTED]]
    if len(names) > _LISTED:
        listed.append(f"{len(names) - _LISTED} more")
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


class UnknownCaller(Refusal):
    """Authorized by tables that another worker has, or had."""

    status, kind = 401, "invalid_request_error"


class Forbidden(Refusal):
    """The tenant may not ask for this."""

    status, kind = 403, "invalid_request_error"


class MethodNotAllowed(Refusal):
    """The URL exists, the method does not."""

    status, kind = 405, "invalid_request_error"


class NotFound(Refusal):
    """Does not exist, or not for this tenant: the two must look the same."""

    status, kind = 404, "invalid_request_error"


class BudgetUsed(Refusal):
    """No provider that could answer may be used for more; `kind` is what there is too much of."""

    status = 429

    def __init__(self, message: str, kind: str, headers: dict[str, str]) -> None:
        super().__init__(message, code="provider_budget_exhausted", headers=headers)
        self.kind = kind


class TooLarge(Refusal):
    """The body is over the limit."""

    status, kind = 413, "invalid_request_error"


class UnsupportedMedia(Refusal):
    """The body is in a form that is not read here."""

    status, kind = 415, "invalid_request_error"


class NoLookUp(Refusal):
    """Whoever would know is away, and nothing is guessed."""

    status, kind = 503, "server_error"


class NoRoom(Refusal):
    """Whatever is used must be on record."""

    status, kind = 503, "server_error"
