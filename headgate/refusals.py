"""Why servers refuse, in the words that `headgate_refusals_total` counts. Any other word is counted as `other`."""

from collections.abc import Iterable

from headgate import metrics
from headgate.limits import KINDS

AUTHZ_REASONS = (
    "missing_key",
    "malformed_key",
    "conflicting_keys",
    "unknown_key",
    "expired_key",
    "disabled_key",
    "unknown_tenant",
    "disabled_tenant",
    "no_pepper",
    "tenant_mismatch",
    "role_not_allowed",
    "endpoint_not_allowed",
    "service_key_unavailable",
    "malformed_token",
    "unknown_issuer",
    "token_algorithm",
    "unknown_token_key",
    "issuer_keys_unavailable",
    "bad_token_signature",
    "bad_token_claims",
    "wrong_audience",
    "expired_token",
    "token_not_valid_yet",
    "disabled_user",
    "no_tenant",
    "tenant_required",
    "expired_certificate",
    "ambiguous_certificate",
    "certificate_alone",
)
EXTPROC_REASONS = (
    "completion_ids_unavailable",
    "completion_not_found",
    "context_length_exceeded",
    "duplicate_key",
    "invalid_api_key",
    "invalid_content_encoding",
    "invalid_content_type",
    "invalid_image_url",
    "invalid_json",
    "invalid_multipart",
    "invalid_type",
    "invalid_value",
    "method_not_allowed",
    "missing_required_parameter",
    "model_not_deletable",
    "model_not_found",
    "no_target",
    "previous_response_elsewhere",
    "previous_response_not_found",
    "provider_budget_exhausted",
    "provider_needed",
    "request_too_large",
    "response_ids_unavailable",
    "response_not_found",
    "spool_full",
    "target_not_allowed",
    "tenant_misconfigured",
    "too_many_values",
    "unknown_parameter",
    "unknown_target",
    "unknown_url",
    "unsupported_parameter",
)
LIMITER_REASONS = (*KINDS, "engine_queue_full", "engine_queue_timeout", "engine_unavailable", "adapter_not_loaded")


class Refusals:
    """Counts the refusals of one server; every reason is there, as 0, from the start."""

    def __init__(self, server: str, reasons: Iterable[str]) -> None:
        self._counts = {reason: metrics.REFUSALS.labels(server, reason) for reason in (*reasons, metrics.OTHER)}

    def count(self, reason: str | None) -> None:
        """One more for a reason; one that is not among the server's is `other`."""
        self._counts.get(reason or metrics.OTHER, self._counts[metrics.OTHER]).inc()
