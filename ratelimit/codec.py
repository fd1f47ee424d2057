"""Envoy's RateLimitService on the wire: the one place in ratelimit that knows Envoy's messages."""

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from headgate.contract import ANSWERED, ERROR_SOURCE, RESERVED
from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from ratelimit.limits import Refused, Standing, whole_seconds

SERVICE, METHOD = "envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit"


@dataclass(frozen=True, slots=True)
class Ask:
    """Who wants to send what. What Envoy did not know is ""."""

    epoch: str
    tenant: str
    model: str
    request_id: str


def decode(data: bytes) -> Ask:
    """Reads a RateLimitRequest."""
    request = RateLimitRequest.FromString(data)
    entries = {entry.key: entry.value for descriptor in request.descriptors for entry in descriptor.entries}
    return Ask(request.domain, entries.get("tenant", ""), entries.get("model", ""), entries.get("request_id", ""))


@lru_cache(maxsize=16384)
def allowed(limit: int | None, left: int, reset_ms: int, reserved: bool | None) -> bytes:
    """The request goes on. `reserved` is for the spool: whether there is something to settle; None is unknown."""
    response = RateLimitResponse(overall_code=RateLimitResponse.OK)
    if limit is not None:
        _standing(response, limit, left, reset_ms)
    if reserved is not None:
        response.dynamic_metadata.update({RESERVED: reserved})
    return response.SerializeToString()


# Nothing was reserved: there is no limit, or none that has anything to give back.
UNLIMITED = allowed(None, 0, 0, reserved=False)


def refused(message: str, refusal: Refused, standing: Standing | None) -> bytes:
    """429 in OpenAI's shape."""
    response = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT)
    error = {"message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    response.raw_body = msgspec.json.encode({"error": error})
    _header(response, "content-type", "application/json")
    _header(response, ERROR_SOURCE, "gateway")
    _header(response, "retry-after", str(whole_seconds(refusal.wait_ms)))
    if standing:
        _standing(response, standing.limit.cap, standing.left, standing.reset_ms)
    response.dynamic_metadata.update({ANSWERED: True, RESERVED: False})
    return response.SerializeToString()


def duration(milliseconds: int) -> str:
    """As OpenAI writes it: `1s`, `6m0s`, `1h0m0s`; `0s` when there is nothing to wait for."""
    seconds = whole_seconds(milliseconds) if milliseconds > 0 else 0
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _standing(response: RateLimitResponse, limit: int, left: int, reset_ms: int) -> None:
    _header(response, "x-ratelimit-limit-requests", str(limit))
    _header(response, "x-ratelimit-remaining-requests", str(left))
    _header(response, "x-ratelimit-reset-requests", duration(reset_ms))


def _header(response: RateLimitResponse, name: str, value: str) -> None:
    header = response.response_headers_to_add.add()
    header.key, header.value = name, value
