"""What those are told whose token or certificate is not good here, by the reason that operators see. Data only.

Whatever is wrong with a token its client learns the same; what it can do something about it learns in words.
"""

from authz.refusal import BAD_TOKEN, Refusal, invalid

_TOKEN_REASONS = (
    "malformed_token",
    "unknown_issuer",
    "token_algorithm",
    "unknown_token_key",
    "bad_token_signature",
    "bad_token_claims",
    "wrong_audience",
    "expired_token",
    "token_not_valid_yet",
    "disabled_user",
)

_OTHERS = (
    Refusal(
        503,
        "The keys of the token's issuer are not known at the moment. Retry in a while.",
        "issuer_unavailable",
        "issuer_keys_unavailable",
        kind="server_error",
        retry_after_s=5,
    ),
    Refusal(
        403,
        "The token or certificate is valid, but of no tenant that may be used here.",
        "no_tenant",
        "no_tenant",
    ),
    Refusal(
        403,
        "You belong to several tenants. Name the one that this request is for in the header `OpenAI-Tenant`, "
        "or as `/tenants/NAME/v1/…`.",
        "tenant_required",
        "tenant_required",
    ),
    Refusal(
        401,
        "The client certificate has expired.",
        "certificate_expired",
        "expired_certificate",
    ),
    Refusal(
        403,
        "The names in the client certificate stand for different callers.",
        "ambiguous_certificate",
        "ambiguous_certificate",
    ),
    Refusal(
        401,
        "A WebSocket needs an API key or a token: a client certificate alone is not enough.",
        None,
        "certificate_alone",
    ),
)

REFUSALS = {refusal.reason: refusal for refusal in _OTHERS} | {
    reason: Refusal(401, "The token is not valid here, or has expired.", BAD_TOKEN, reason)
    for reason in _TOKEN_REASONS
}


def refused(reason: str) -> Refusal:
    """What goes with a reason; those that are not of tokens or certificates are of keys."""
    return REFUSALS.get(reason) or invalid(reason)
