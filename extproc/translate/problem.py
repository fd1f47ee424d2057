"""What a client is told of a provider's failure, before it is written in the client's API. Pure."""

from extproc.translate.failure import Failure, Kind
from headgate.error_shapes import Problem

# OpenAI's `type` of an error; Anthropic's follows from the status.
_TYPES: dict[Kind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "server_error",
    "timeout": "timeout",
    "server": "server_error",
    "malformed": "server_error",
}

# What the gateway itself says in such a case (headgate/edge/attempts.py) where nothing is translated.
_CODES: dict[Kind, str] = {
    "authentication": "provider_refused_credential",
    "permission": "provider_refused_credential",
    "malformed": "provider_malformed_answer",
}


def problem_of(failure: Failure, status: int | None = None) -> Problem:
    """The failure as a problem, with another status where the client gets another one."""
    code = failure.code or _CODES.get(failure.kind)
    return Problem(status or failure.status, failure.message, _TYPES[failure.kind], failure.param, code)
