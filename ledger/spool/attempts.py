"""Lines about attempts that failed, as types, and what they mean. docs/spool.md has the fields. Pure."""

import datetime as dt
import email.utils
import re

import msgspec

from headgate.contract import HEDGED
from headgate.metrics import OTHER

DEFAULT_REST_S = 5.0
SHORTEST_REST_S = 1.0  # also for a provider that asks for none: it has just said that it is too much
LONGEST_REST_S = 600.0

_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

# By Envoy's response flags: what happened when there was no answer, or not all of it.
_KINDS = {
    "UF": "connect",
    "UT": "timeout",
    "UC": "reset",
    "UR": "reset",
    "LR": "reset",
    "UPE": "protocol",
    "UMSDR": "timeout",
    "SI": "timeout",
    "DT": "timeout",
    "UO": "breaker",
    "UH": "no_endpoint",
    "NC": "no_endpoint",
    "DF": "no_endpoint",
}
KINDS = (*dict.fromkeys(_KINDS.values()), "429", "4xx", "5xx", "given_up", "hedged", OTHER)


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One failed attempt; what its line does not say is None."""

    request_id: str | None = None
    time: str | None = None
    target: str | None = None
    provider_key: str | None = None
    cluster: str | None = None
    upstream_model: str | None = None
    route: str | None = None
    retry: str | None = None
    status: int | None = None
    flags: str | None = None
    reason: str | None = None
    retry_after: str | None = None
    retry_after_ms: str | None = None
    duration_ms: int | None = None


_decoder = msgspec.json.Decoder(Attempt, strict=False)


def parsed(text: bytes) -> Attempt | None:
    """The attempt; None when the line is none."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def kind_of(attempt: Attempt) -> str:
    """What happened, in one of `KINDS`. `given_up`: the client left, or the request's time was over, meanwhile.

    `hedged`: so was it, or another attempt was quicker.
    """
    if kind := kind_of_flags(_flags(attempt)):
        return kind
    status = attempt.status or 0
    if status == 0:
        return "hedged" if _is_hedged(attempt) else "given_up"
    if status == 429:
        return "429"
    return f"{status // 100}xx" if 400 <= status < 600 else OTHER


def is_answer(attempt: Attempt) -> bool:
    """Whether it has not failed after all: an attempt that was slow enough to be hedged, and won nevertheless."""
    return _is_hedged(attempt) and 200 <= (attempt.status or 0) < 400 and _flags(attempt) == "-"


def _is_hedged(attempt: Attempt) -> bool:
    return (attempt.route or "").endswith(HEDGED)


def _flags(attempt: Attempt) -> str:
    """Envoy's flags, less the one that says of a hedged attempt that the next one was sent."""
    flags = attempt.flags or "-"
    if not _is_hedged(attempt):
        return flags
    return ",".join(flag for flag in flags.split(",") if flag != "UT") or "-"


def kind_of_flags(flags: str | None) -> str | None:
    """What Envoy's flags say of an attempt; None when they say nothing of it."""
    return next((_KINDS[flag] for flag in (flags or "").split(",") if flag in _KINDS), None)


def rest_s(retry_after: str | None, now: dt.datetime, retry_after_ms: str | None = None) -> float:
    """How long a 429 asks to rest, in seconds: RFC 9110, 10.2.3, a number or a date. What says neither is 5 s.

    Milliseconds, which OpenAI's and Azure's servers may add, are the more exact word.
    """
    text, exact = (retry_after or "").strip(), (retry_after_ms or "").strip()
    if _SECONDS.fullmatch(exact):
        asked = float(exact) / 1000
    elif _SECONDS.fullmatch(text):
        asked = float(text)
    else:
        try:
            until = email.utils.parsedate_to_datetime(text)
            asked = (until.replace(tzinfo=until.tzinfo or dt.UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return DEFAULT_REST_S
    return min(max(asked, SHORTEST_REST_S), LONGEST_REST_S)


def age_s(attempt: Attempt, now: dt.datetime) -> float:
    """How long ago it ended: a ledger that was away reads it late."""
    then = ended_at(attempt)
    return 0.0 if then is None else max(now.timestamp() - then, 0.0)


def ended_at(attempt: Attempt) -> float | None:
    """When, in seconds since the epoch; None when the line does not say."""
    try:
        then = dt.datetime.fromisoformat(attempt.time or "")
    except (ValueError, TypeError):
        return None
    return then.timestamp() if then.tzinfo else None
