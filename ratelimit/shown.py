"""What the headers of an answer say of the limits: those that clients know, and those for what is passed. Pure."""

import datetime as dt
import math
from collections.abc import Callable, Sequence

from headgate.contract import OVERAGE, WARNING
from headgate.counters.limits import Limit
from headgate.counters.reservation import Refused, Standing, Verdict, whole
from headgate.error_shapes import Api
from headgate.limiting import Header
from headgate.limits import NANO, Dimension, LimitRow

_TOKENS: tuple[Dimension, ...] = ("input", "output", "tokens")

# https://platform.openai.com/docs/guides/rate-limits, https://platform.claude.com/docs/en/api/rate-limits
_FAMILIES: dict[Api, tuple[tuple[str, tuple[Dimension, ...]], ...]] = {
    "openai": (("x-ratelimit-{}-requests", ("requests",)), ("x-ratelimit-{}-tokens", _TOKENS)),
    "anthropic": (
        ("anthropic-ratelimit-requests-{}", ("requests",)),
        ("anthropic-ratelimit-tokens-{}", _TOKENS),
        ("anthropic-ratelimit-input-tokens-{}", ("input",)),
        ("anthropic-ratelimit-output-tokens-{}", ("output",)),
    ),
}
_NAMES = {
    api: tuple(
        (tuple(name.format(what) for what in ("limit", "remaining", "reset")), dimensions)
        for name, dimensions in families
    )
    for api, families in _FAMILIES.items()
}


def headers_of(
    api: Api,
    standings: Sequence[Standing],
    refused: Refused | None,
    now: float,
    share: Callable[[Limit], int] | None = None,
) -> list[Header]:
    """The limits of each family that leave the least; of a refused request, the limit that refused it.

    `share`: what a process that decides alone gives out of a limit, in windows that slide.
    """
    headers: list[Header] = []
    for (limit, remaining, reset), dimensions in _NAMES[api]:
        standing = _tightest(standings, dimensions, refused)
        if standing is not None:
            most = share(standing.limit) if share else whole(standing.limit.row)
            resets = _reset(api, standing, now, slides=share is not None)
            headers += ((limit, str(most)), (remaining, str(standing.left)), (reset, resets))
    return headers


def notices_of(verdict: Verdict, now_ms: int) -> list[Header]:
    """One header for every soft limit that is passed, and one for every limit that is passed for a price."""
    warned = zip(verdict.warned, verdict.warned_used, strict=True)
    headers = [(WARNING, _warning(limit, used, now_ms)) for limit, used in warned]
    headers += [(OVERAGE, _name(standing.limit.row)) for standing in verdict.standings if in_overage(standing)]
    return headers


def in_overage(standing: Standing) -> bool:
    """Whether the request runs above the limit's cap, below its ceiling."""
    row = standing.limit.row
    return row.ceiling is not None and row.cap is not None and standing.used > row.cap


def amount(limit: Limit, number: int) -> str:
    """An amount of what the limit counts: US dollars as a decimal, all else as it is."""
    if limit.kind.dimension != "usd":
        return str(number)
    whole, nano = divmod(abs(number), NANO)
    return f"{'-' if number < 0 else ''}{whole}.{nano:09}".rstrip("0").rstrip(".")


def whole_seconds(milliseconds: float) -> int:
    """Rounded up, at least 1: `retry-after` must not send anybody back too early."""
    return max(1, math.ceil(milliseconds / 1000))


def duration(milliseconds: int) -> str:
    """As OpenAI writes it: `1s`, `6m0s`, `1h0m0s`; `0s` when there is nothing to wait for."""
    seconds = whole_seconds(milliseconds) if milliseconds > 0 else 0
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def moment(limit: Limit, now: float, milliseconds: int, *, slides: bool = False) -> str:
    """RFC 3339 in UTC, whole seconds, never too early. `now` is seconds since the epoch; `slides` for any window."""
    then = now + max(0, milliseconds) / 1000
    # Calendar windows end at midnight, however far our clock is from the counters'.
    seconds = round(then / 60) * 60 if limit.is_calendar and not slides else math.ceil(then)
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tightest(
    standings: Sequence[Standing], dimensions: tuple[Dimension, ...], refused: Refused | None
) -> Standing | None:
    found = None
    for standing in standings:
        limit = standing.limit
        if limit.kind.dimension not in dimensions or limit.row.most is None:
            continue
        if refused is not None and refused.limit is limit:
            return standing
        if found is None or (standing.left, -standing.reset_ms) < (found.left, -found.reset_ms):
            found = standing
    return found


def _reset(api: Api, standing: Standing, now: float, *, slides: bool) -> str:
    if api == "anthropic":
        return moment(standing.limit, now, standing.reset_ms, slides=slides)
    return duration(standing.reset_ms)


def _warning(limit: Limit, used: int, now_ms: int) -> str:
    if limit.is_credits:
        balance = amount(limit, limit.given_nano(now_ms) - used)
        return f"{_name(limit.row)}; balance={balance}; low={amount(limit, limit.row.low or 0)}"
    return f"{_name(limit.row)}; used={amount(limit, used)}; soft={amount(limit, limit.row.soft or 0)}"


def _name(row: LimitRow) -> str:
    """The kind, and within what the limit holds: its scope's values may be anything a client wrote."""
    return "; ".join((row.kind, *([f"by={','.join(row.by)}"] if row.by else [])))
