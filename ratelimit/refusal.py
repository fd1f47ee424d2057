"""What a client is told whose request has no room: which limit, whose, how much is used, and until when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from headgate.contract import ERROR_SOURCE
from headgate.counters.limits import Limit
from headgate.counters.reservation import Refused
from headgate.counters.scripts import MOST_USERS
from headgate.error_shapes import Problem, rendered
from headgate.limiting import Ask, Denied, Header
from headgate.limits import Dimension, LimitRow
from ratelimit.shown import amount, moment, whole_seconds

_UNITS: dict[Dimension, str] = {
    "requests": "requests",
    "input": "input tokens",
    "output": "output tokens",
    "tokens": "tokens",
    "usd": "US dollars",
    "slots": "requests",
}
_SHOWN_CHARACTERS = 40
_SHOWN_MODELS = 3
_NEAR_THE_END_MS = 10_000  # of a window, where it makes no difference to a client
LATER, NEVER = "rate_limit_exceeded", "insufficient_quota"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error, and the headers that tell programs whether and when to come back."""

    problem: Problem
    headers: tuple[Header, ...]


def denied(ask: Ask, refusal: Refusal, headers: Iterable[Header], *, reserved: bool | None = False) -> Denied:
    """In the shape of the client's API. `reserved` None: what was said of it stays."""
    body = rendered(ask.api, refusal.problem, ask.request_id)
    return Denied(refusal.problem.status, body, (*refusal.headers, *headers), reserved)


def refusal_of(ask: Ask, refused: Refused, asked: int, least: int, now: float) -> Refusal:
    """By the counters. `asked` is the request's whole amount, `least` the smallest one it could go on with."""
    limit, wait_ms = refused.limit, refused.wait_ms
    whose = _whose(ask, limit)
    if limit.is_credits:
        return _credits(limit, whose, refused, least, now)
    if wait_ms < 0:
        return _too_large(limit, whose, least)
    about = f"for {whose}: limit {_said(limit)}, used {amount(limit, refused.used)}"
    if limit.kind.dimension not in ("requests", "slots"):
        about += f", requested {amount(limit, asked)}"
    if refused.shared:
        about += f" by all users beyond the first {MOST_USERS}, who share a counter"
    if limit.is_calendar and not _may_come_back(limit, wait_ms, now):
        return _quota(f"Quota used up {about}. It resets at {moment(limit, now, wait_ms)}.", wait_ms)
    return _later(limit, f"Rate limit reached {about}. Retry in {whole_seconds(wait_ms)} s.", wait_ms)


def _credits(limit: Limit, whose: str, refused: Refused, least: int, now: float) -> Refusal:
    """More time brings no more credits; but what running requests hold of them may come back."""
    balance = amount(limit, limit.given_nano(round(now * 1000)) - refused.used)
    account = f"balance {balance} {_UNITS[limit.kind.dimension]}, floor {amount(limit, limit.row.floor or 0)}"
    text = f"Not enough credits for {whose}: {account}, the request needs at least {amount(limit, least)} (credits)."
    if refused.wait_ms < 0:
        return _quota(text, -1)
    held = f"{text} Running requests hold some of them. Retry in {whole_seconds(refused.wait_ms)} s."
    return _later(limit, held, refused.wait_ms)


def _may_come_back(limit: Limit, wait_ms: int, now: float) -> bool:
    """Whether requests that still run hold what is missing: the wait then ends long before the window."""
    now_ms = round(now * 1000)
    return now_ms + wait_ms < limit.window_ms(now_ms)[1] - _NEAR_THE_END_MS


def refusal_alone(ask: Ask, refused: Refused, share: int, least: int) -> Refusal:
    """By a worker alone, which gives out `share` of the limit."""
    limit, whose = refused.limit, _whose(ask, refused.limit)
    if refused.wait_ms < 0:
        return _too_large(limit, whose, least)
    given = amount(limit, share)
    lets = f"{given} of {_said(limit)} pass"
    if limit.is_credits:
        lets = f"{given} {limit.kind.text} pass in an hour"
    elif limit.is_calendar:
        lets = f"{given} {_UNITS[limit.kind.dimension]} pass in an hour, of {_said(limit)}"
    text = (
        f"Rate limit reached for {whose}: the gateway's counters are away, and until they are back each of its "
        f"workers lets {lets}, used {amount(limit, refused.used)}. Retry in {whole_seconds(refused.wait_ms)} s."
    )
    return _later(limit, text, refused.wait_ms)


def _later(limit: Limit, text: str, wait_ms: int) -> Refusal:
    kind = "requests" if limit.kind.dimension in ("requests", "slots") else "tokens"
    return Refusal(Problem(429, text, kind, code=LATER), (*_FIRST, ("retry-after", str(whole_seconds(wait_ms)))))


def _quota(text: str, wait_ms: int) -> Refusal:
    headers: tuple[Header, ...] = (*_FIRST, ("x-should-retry", "false"))  # the SDKs of both APIs go by it
    if wait_ms >= 0:
        headers += (("retry-after", str(whole_seconds(wait_ms))),)
    return Refusal(Problem(429, text, NEVER, code=NEVER), headers)


def _too_large(limit: Limit, whose: str, least: int) -> Refusal:
    unit = _UNITS[limit.kind.dimension]
    text = f"Request too large for {whose}: it needs at least {amount(limit, least)} {unit}, limit {_said(limit)}."
    return _quota(text, -1)


_FIRST: tuple[Header, ...] = (("content-type", "application/json"), (ERROR_SOURCE, "gateway"))


def _said(limit: Limit) -> str:
    """The limit in words: `40000 tokens per minute (tpm)`."""
    row, kind = limit.row, limit.kind
    more = ""
    if row.ceiling is not None:
        more = f", {amount(limit, row.ceiling)} with overage"
    elif row.burst:
        more = f", {amount(limit, row.burst)} more in a burst"
    return f"{amount(limit, row.cap or 0)} {kind.text}{more} ({kind.name})"


def _whose(ask: Ask, limit: Limit) -> str:
    """The tenant, and what within it the limit is for. All but the user's name are names of gateway.yaml."""
    values = {"key": ask.key_id, "model": ask.model, "user": ask.user}
    named = [f"{scope} '{_safe(values[scope])}'" if values[scope] else f"no {scope}" for scope in limit.row.by]
    return ", ".join((f"tenant '{ask.tenant}'", *named, *_models(limit.row)))


def _models(row: LimitRow) -> Iterable[str]:
    if row.models is None or "model" in row.by:
        return
    names = [f"'{_safe(name)}'" for name in row.models[:_SHOWN_MODELS]]
    more = len(row.models) - len(names)
    yield f"{'models' if len(row.models) > 1 else 'model'} {', '.join(names)}{f' and {more} more' if more else ''}"


def _safe(text: str) -> str:
    """A client's own text for people to read: short, on one line, and nothing that changes how the rest is shown."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[: _SHOWN_CHARACTERS - 1]}…"
