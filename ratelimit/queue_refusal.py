"""What a client is told whose request gets no slot of an engine: why, and when to come back. Pure."""

from typing import Literal

from headgate.contract import ERROR_SOURCE, PREDICTED_START, QUEUE_POSITION
from headgate.counters.queue import Admitted
from headgate.error_shapes import Problem
from headgate.limiting import Header
from ratelimit.refusal import Refusal
from ratelimit.shown import whole_seconds

Reason = Literal["full", "timeout", "too_late", "unavailable"]
CODES: dict[Reason, str] = {
    "full": "engine_queue_full",
    "timeout": "engine_queue_timeout",
    "too_late": "engine_queue_timeout",
    "unavailable": "engine_unavailable",
}
UNAVAILABLE_AGAIN_MS = 5000  # a replica that is started again takes seconds at least


def queue_refusal(reason: Reason, model: str, first: Admitted, last: Admitted, waited_s: float) -> Refusal:
    """`first` and `last` are what was said of it first and last: the same of one that was never let in."""
    after_s = whole_seconds(_after_ms(reason, first, last, waited_s))
    busy = f"The engines of the model '{model}' are busy"
    text = {
        "full": f"{busy}, and as many requests wait as may.",
        "timeout": f"{busy}: the request has waited for {waited_s:.1f} s, and its turn has not come.",
        "too_late": f"{busy}: the request's turn is expected in {after_s} s, which is longer than it would wait.",
        "unavailable": f"The engines of the model '{model}' are not available: no replica of theirs is ready.",
    }
    problem = Problem(503, f"{text[reason]} Retry in {after_s} s.", "server_error", code=CODES[reason])
    headers = (("content-type", "application/json"), (ERROR_SOURCE, "gateway"), ("retry-after", str(after_s)))
    return Refusal(problem, headers)


def _after_ms(reason: Reason, first: Admitted, last: Admitted, waited_s: float) -> int:
    """How long one that came then would wait. Nothing was ever predicted to who saw no request end while it waited:
    whoever comes then has no better prospects.
    """
    if reason == "unavailable":
        return UNAVAILABLE_AGAIN_MS
    waited_ms = round(waited_s * 1000)
    return max(one.expected_ms if one.expected_ms is not None else waited_ms for one in (first, last))


def queue_headers(admitted: Admitted) -> list[Header]:
    """Where a request stood when it began to wait, or would have stood, and when it was to begin."""
    headers = [(QUEUE_POSITION, str(admitted.ahead + 1))]
    if admitted.expected_ms is not None:
        headers.append((PREDICTED_START, str(admitted.expected_ms)))
    return headers
