"""What a client is told whose request gets no slot of an engine: why, and when to come back. Pure."""

from typing import Literal

from headgate.contract import ERROR_SOURCE, PREDICTED_START, QUEUE_POSITION
from headgate.counters.queue import Admitted
from headgate.error_shapes import Problem
from ratelimit.refusal import Refusal
from ratelimit.shown import Header, whole_seconds

Reason = Literal["full", "timeout", "too_late"]
CODES: dict[Reason, str] = {
    "full": "engine_queue_full",
    "timeout": "engine_queue_timeout",
    "too_late": "engine_queue_timeout",
}


def queue_refusal(reason: Reason, model: str, admitted: Admitted, waited_ms: int) -> Refusal:
    """`admitted` is what was said of it last, of one that has waited until then or was never let in."""
    after_s = whole_seconds(admitted.expected_ms or 0)
    busy = f"The engines of the model '{model}' are busy"
    text = {
        "full": f"{busy}, and as many requests wait as may.",
        "timeout": f"{busy}: the request has waited for {waited_ms / 1000:.1f} s, and its turn has not come.",
        "too_late": f"{busy}: the request's turn is expected in {after_s} s, which is longer than it would wait.",
    }
    problem = Problem(503, f"{text[reason]} Retry in {after_s} s.", "server_error", code=CODES[reason])
    first = (("content-type", "application/json"), (ERROR_SOURCE, "gateway"), ("retry-after", str(after_s)))
    return Refusal(problem, first)


def queue_headers(admitted: Admitted) -> list[Header]:
    """Where a request stood when it began to wait, or would have stood, and when it was to begin."""
    headers = [(QUEUE_POSITION, str(admitted.ahead + 1))]
    if admitted.expected_ms is not None:
        headers.append((PREDICTED_START, str(admitted.expected_ms)))
    return headers
