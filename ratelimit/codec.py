"""Envoy's RateLimitService on the wire: the one place in ratelimit that knows Envoy's messages."""

import contextlib
import re
from collections.abc import Iterable
from decimal import Decimal

from headgate.contract import (
    ADAPTER,
    ADAPTER_CLUSTER,
    ANSWERED,
    CLIENT_TIMEOUTS,
    ENGINE,
    HOSTS,
    LACKS_ADAPTER,
    LEADING_KEY,
    MAX_TOKENS,
    NO_KEY,
    RESERVED,
)
from headgate.limiting import Ask, Decision, Granted, Header
from headgate.prices import FACTOR, LIST_PRICE
from headgate.wire.ratelimit_pb2 import RateLimitRequest, RateLimitResponse
from ratelimit.refusal import Refusal, denied

SERVICE, METHOD = "envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit"

# Whatever the number that a client wrote: larger than every limit, and the counters' numbers are exact up to here.
_MOST = 2**53
_TIMEOUTS = [name.removeprefix("x-").replace("-", "_") for name in CLIENT_TIMEOUTS]  # as descriptors are called
_FACTOR = re.compile(FACTOR)


def decode(data: bytes) -> Ask:
    """Reads a RateLimitRequest. Raises ValueError for a number or a factor that is none."""
    request = RateLimitRequest.FromString(data)
    known = {entry.key: entry.value for descriptor in request.descriptors for entry in descriptor.entries}
    return Ask(
        epoch=request.domain,
        tenant=known.get("tenant", ""),
        key_id=known.get("key_id", ""),
        model=known.get("base_model") or known.get("model", ""),
        user=known.get("user", ""),
        request_id=known.get("request_id", ""),
        surface=known.get("surface", ""),
        input=_number(known.get("input") or "0"),
        output=_number(known.get("output") or "0"),
        times=max(1, _number(times)) if (times := known.get("times")) else 1,
        unit=known.get("unit", ""),
        units=_number(units) if (units := known.get("units")) else 0,
        price_factor=_factor(factor) if (factor := known.get("price_factor")) else LIST_PRICE,
        engine=known.get(ENGINE, ""),
        upstream_model=known.get("upstream_model", ""),
        hosts=tuple(hosts.split(",")) if (hosts := known.get(HOSTS)) else (),
        is_spread=bool(key := known.get(LEADING_KEY)),
        leading_key=bytes.fromhex(key) if key and key != NO_KEY else None,
        adapter=known.get(ADAPTER, ""),
        adapter_cluster=known.get(ADAPTER_CLUSTER, ""),
        lacks_adapter=LACKS_ADAPTER in known,
        patience_s=_seconds(*(known.get(name, "") for name in _TIMEOUTS)),
        directory=_number(directory) if (directory := known.get("directory")) else 0,
    )


def encoded(decision: Decision) -> bytes:
    """As a RateLimitResponse. Of a refusal the status is the filter's."""
    if isinstance(decision, Granted):
        response = RateLimitResponse()
        if decision.max_tokens is not None:
            response.request_headers_to_add.add(key=MAX_TOKENS, value=str(decision.max_tokens))
        start = _OK[decision.reserved]
    else:
        response = RateLimitResponse(overall_code=RateLimitResponse.OVER_LIMIT, raw_body=decision.body)
        reserved = {} if decision.reserved is None else {RESERVED: decision.reserved}
        response.dynamic_metadata.update({ANSWERED: True, **reserved})
        start = b""
    for name, value in decision.headers:
        response.response_headers_to_add.add(key=name, value=value)
    return start + response.SerializeToString()


def goes_on(headers: Iterable[Header], hosts: Iterable[str] = ()) -> bytes:
    """A request that has a slot of its engine: what is said of its reservation stays.

    `hosts` are the replicas for its attempts, if not those of its plan.
    """
    response = RateLimitResponse()
    if said := ",".join(hosts):
        response.dynamic_metadata.update({HOSTS: said})
    for name, value in headers:
        response.response_headers_to_add.add(key=name, value=value)
    return GOES_ON + response.SerializeToString()


def is_refusal(answer: bytes) -> bool:
    """Whether this answer of ours ends a request."""
    return RateLimitResponse.FromString(answer).overall_code == RateLimitResponse.OVER_LIMIT


def refused(ask: Ask, refusal: Refusal, headers: Iterable[Header], *, reserved: bool | None = False) -> bytes:
    """A refusal that is made here. `reserved` None: what was said of it stays."""
    return encoded(denied(ask, refusal, headers, reserved=reserved))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a count of tokens that is no number")
    return min(int(text), _MOST) if len(text) < 20 else _MOST


def _seconds(*texts: str) -> float | None:
    """The first that is a number; what else a client says is nothing."""
    for text in texts:
        with contextlib.suppress(ValueError):
            found = float(text)
            if 0 < found < _MOST:
                return found
    return None


def _factor(text: str) -> Decimal:
    if not _FACTOR.fullmatch(text):
        raise ValueError("a factor of a price that is none")
    return Decimal(text)


def _ok(reserved: bool | None) -> bytes:
    response = RateLimitResponse(overall_code=RateLimitResponse.OK)
    if reserved is not None:
        response.dynamic_metadata.update({RESERVED: reserved})
    return response.SerializeToString()


# A message's fields may follow those of another one: both together are one message.
_OK = {reserved: _ok(reserved) for reserved in (True, False, None)}

# Nothing is to be said.
GOES_ON = _OK[None]
