"""What went wrong at a provider, apart from any API's words for it. Pure."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "overloaded",
    "timeout",
    "server",
    "malformed",  # the provider's answer is not what its API says
]

# What a client is answered when a failure arrives in a stream, where the provider gives no status.
STATUS: dict[Kind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
    "too_large": 413,
    "rate_limit": 429,
    "overloaded": 503,
    "timeout": 504,
    "server": 502,
    "malformed": 502,
}

_KIND_OF_STATUS: dict[int, Kind] = {
    401: "authentication",
    402: "permission",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",  # Anthropic's own
}


def kind_of(status: int) -> Kind:
    """What an answer's status says by itself; one that is no error's is a failure of the provider's."""
    return _KIND_OF_STATUS.get(status) or ("invalid_request" if 400 <= status < 500 else "server")


@dataclass(frozen=True, slots=True)
class Failure:
    """A provider's error. `message` is for the client; `param` and `code` are as the provider gave them."""

    kind: Kind
    message: str
    status: int
    param: str | None = None
    code: str | None = None

    @classmethod
    def of(cls, kind: Kind, message: str, *, param: str | None = None, code: str | None = None) -> "Failure":
        """One with the status that its kind usually has."""
        return cls(kind, message, STATUS[kind], param, code)
