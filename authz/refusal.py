"""Why a request may not go on: what its client is told, and what only operators are. Data only.

The text never says which part of a credential was wrong.
"""

from dataclasses import dataclass

BAD_KEY, BAD_TOKEN = "invalid_api_key", "invalid_token"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`reason` is one of headgate.refusals.AUTHZ_REASONS. `kind` is OpenAI's type of error."""

    status: int
    message: str
    code: str | None
    reason: str
    kind: str = "invalid_request_error"
    retry_after_s: int | None = None

    @property
    def is_mistake(self) -> bool:
        """Whether somebody who guesses would see this."""
        return self.code in (BAD_KEY, BAD_TOKEN)


MISSING = Refusal(
    401,
    "No API key was provided. Send it as `Authorization: Bearer KEY`, or in the `api-key` or `x-api-key` header.",
    None,
    "missing_key",
)
OTHER_TENANT = Refusal(
    403,
    "The API key, token or certificate does not belong to the tenant that this request names.",
    "tenant_mismatch",
    "tenant_mismatch",
)
OTHER_ROLE = Refusal(
    403,
    "The role of this API key, token or certificate does not allow requests to models.",
    "role_not_allowed",
    "role_not_allowed",
)
OTHER_ENDPOINT = Refusal(
    403,
    "This API key is not for this endpoint.",
    "endpoint_not_allowed",
    "endpoint_not_allowed",
)
NO_SERVICE_KEY = Refusal(
    503,
    "The gateway can't say to the admin API who asks: its service key is not there.",
    "service_key_unavailable",
    "service_key_unavailable",
    kind="server_error",
)


def invalid(reason: str) -> Refusal:
    """The client learns the same whatever is wrong with its key."""
    return Refusal(401, "Incorrect API key provided.", BAD_KEY, reason)


def too_many(reason: str, retry_after_s: int) -> Refusal:
    """Instead of `invalid`, at once, when too many of those wait already."""
    return Refusal(
        429,
        "Too many requests with an incorrect API key have come from this address. "
        f"Check the key, and retry in {retry_after_s} seconds.",
        "too_many_bad_keys",
        reason,
        kind="requests",
        retry_after_s=retry_after_s,
    )
