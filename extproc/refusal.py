"""Refusals: what the client is told, apart from what the log is told.

Refusal                the request cannot go on; the client can read why
├── BadRequest         400: malformed or wrongly typed
├── UnknownCaller      401: the tenant has gone since its key was accepted
├── MethodNotAllowed   405: the URL exists, the method does not
├── TooLarge           413: over listen.max_body
├── UnsupportedMedia   415: compressed
├── NotFound           404: no such model for this tenant, or no such URL
├── NoTarget           503: nothing that could answer is reachable by this gateway
└── NoRoom             503: the record of the request could not be kept

Anything else that a step raises is our bug and becomes a 500 without details.
"""


def printable(text: str) -> str:
    """The text with what UTF-8 cannot carry replaced: JSON escapes can spell half a surrogate pair."""
    return text.encode(errors="replace").decode()


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """An answer in OpenAI's error shape (https://platform.openai.com/docs/guides/error-codes)."""

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


class UnknownCaller(Refusal):
    """Authorized by tables that another worker has, or had."""

    status, kind = 401, "invalid_request_error"


class MethodNotAllowed(Refusal):
    """The URL exists, the method does not."""

    status, kind = 405, "invalid_request_error"


class NotFound(Refusal):
    """Does not exist, or not for this tenant: the two must look the same."""

    status, kind = 404, "invalid_request_error"


class TooLarge(Refusal):
    """The body is over the limit."""

    status, kind = 413, "invalid_request_error"


class UnsupportedMedia(Refusal):
    """The body is in a form that is not read here."""

    status, kind = 415, "invalid_request_error"


class NoTarget(Refusal):
    """Configured, but this gateway cannot send it anywhere."""

    status, kind = 503, "server_error"


class NoRoom(Refusal):
    """Whatever is used must be on record."""

    status, kind = 503, "server_error"
