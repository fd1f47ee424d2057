"""Envoy's RateLimitService on the wire: the one place in ratelimit that knows Envoy's messages."""

import datetime as dt
import math
from dataclasses import dataclass
from functools import lru_cache

from headgate.contract import ANSWERED, ERROR_SOURCE, RESERVED
from headgate.error_shapes import Api, Problem, api_of_surface, rendered
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
    surface: str

    @property
    def api(self) -> Api:
        """Whose client asks."""
        return api_of_surface(self.surface)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the headers of an answer say of the limits. `reset` is as the client's API writes it."""

    api: Api
    limit: int
    left: int
    reset: str


def decode(data: bytes) -> Ask:
    """Reads a RateLimitRequest."""
    request = RateLimitRequest.FromString(data)
    entries = {entry.key: entry.value for descriptor in request.descriptors for entry in descriptor.entries}
    known = (entries.get(name, "") for name in ("tenant", "model", "request_id", "surface"))
    return Ask(request.domain, *known)


@lru_cache(maxsize=16384)
def allowed(shown: Shown | None, reserved: bool | None) -> bytes:
    """The request goes on. `reserved` is for the spool: whether there is something to settle; None is unknown."""
    response = RateLimitResponse(overall_code=RateLimitResponse.OK)
    if shown:
        _show(response, shown)
    if reserved is not None:
        response.dynamic_metadata.update({RESERVED: reserved})
    return response.SerializeToString()


# https://platform.openai.com/docs/guides/rate-limits, https://platform.claude.com/docs/en/api/rate-limits
_HEADERS: dict[Api, str] = {
    "openai": "x-ratelimit-{}-requests",
    "anthropic": "anthropic-ratelimit-requests-{}",
}

# Nothing was reserved: there is no limit, or none that has anything to give back.
UNLIMITED = allowed(None, reserved=False)


def refused(ask: Ask, message: str, refusal: Refused, shown: Shown | None) -> bytes:
    """429 in the shape of the client's API."""
    response = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT)
    problem = Problem(429, message, "requests", code="rate_limit_exceeded")
    response.raw_body = rendered(ask.api, problem, ask.request_id)
    _header(response, "content-type", "application/json")
    _header(response, ERROR_SOURCE, "gateway")
    _header(response, "retry-after", str(whole_seconds(refusal.wait_ms)))
    if shown:
        _show(response, shown)
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


def moment(now: float, milliseconds: int) -> str:
    """As Anthropic writes it: RFC 3339 in UTC, whole seconds, never too early. `now` is seconds since the epoch."""
    then = dt.datetime.fromtimestamp(math.ceil(now + max(0, milliseconds) / 1000), dt.UTC)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_to(ask: Ask, standing: Standing | None, now: float) -> Shown | None:
    """What the client is shown of where its tenant stands; nothing where no limit counts requests."""
    if standing is None:
        return None
    openai = ask.api == "openai"
    reset = duration(standing.reset_ms) if openai else moment(now, standing.reset_ms)
    return Shown(ask.api, standing.limit.cap, standing.left, reset)


def _show(response: RateLimitResponse, shown: Shown) -> None:
    for name, value in (("limit", shown.limit), ("remaining", shown.left), ("reset", shown.reset)):
        _header(response, _HEADERS[shown.api].format(name), str(value))


def _header(response: RateLimitResponse, name: str, value: str) -> None:
    header = response.response_headers_to_add.add()
    header.key, header.value = name, value
