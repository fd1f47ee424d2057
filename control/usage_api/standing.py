"""`GET /v1/usage`: how the limits of a tenant stand, and what it has used today and this month.

The limits are the ledger's to tell, and without it there is no answer. Without the usage store there is one that
lacks the periods: their place is null.
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from control.tools import LedgerAway
from control.usage_api.kinds import dollars
from control.usage_api.parameters import check_name
from control.usage_api.refusal import Refused, away, invalid
from control.usage_api.seeing import Seen, Where
from control.usage_api.sums import Store, asked, moment
from headgate.config.wording import nearest, quoted
from headgate.usage_questions import Dimension, Sums, SumsAnswer

AskLedger = Callable[[Mapping[str, Any]], Mapping[str, Any]]

# A parameter: what the ledger calls it, and what the store does.
_FILTERS: Mapping[str, tuple[str, Dimension]] = {
    "api_key_id": ("key", "key_id"),
    "model": ("model", "model"),
    "user_id": ("user", "user"),
}
PERIODS_WITHIN_S = 10.0  # both; then limits are told without them: the whole answer has 25 s
_NOTHING = SumsAnswer(rows=[], next=None, stored_until_ms=0)  # for a key that is confined to no model at all
_PARAM_OF = {of_ledger: name for name, (of_ledger, _) in _FILTERS.items()}


async def standing_of(
    seen: Seen, query: Sequence[tuple[str, str]], ask_ledger: AskLedger, store: Store, now_s: int
) -> dict[str, Any]:
    """The whole answer. Raises Refused."""
    if seen.tenant is None:
        text = "name the tenant: ask for /tenants/ID/v1/usage, or send the header openai-tenant"
        raise Refused(400, "tenant_required", text)
    given = _given(query)
    if seen.models is not None and "model" in given and given["model"] not in seen.models:
        raise _unknown("model")
    limits = await asyncio.to_thread(_limits, seen.tenant, given, ask_ledger)
    where: dict[Dimension, tuple[str, ...]] = {_FILTERS[name][1]: (value,) for name, value in given.items()}
    if seen.models is not None:
        where.setdefault("model", seen.models)
    periods, until = await _periods(seen.tenant, where, store, now_s)
    return {
        "object": "usage",
        "tenant_id": limits["tenant"],
        "limits": _seen_limits(limits["limits"], seen.models),
        "complete": limits["complete"],
        "cut": limits["cut"],
        "by_user": limits["by_user"],
        "periods": periods,
        "usage_until": until,
    }


def _given(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in query:
        if name not in _FILTERS:
            message = f"unknown parameter {quoted(name)}{nearest(name, _FILTERS)}"
            raise Refused(400, "unknown_parameter", message, name[:100])
        if name in given:
            raise invalid(name, f"{name}: expected once")
        check_name(name, value)
        given[name] = value
    return given


def _limits(tenant: str, given: Mapping[str, str], ask_ledger: AskLedger) -> Mapping[str, Any]:
    question = {"tenant": tenant, **{_FILTERS[name][0]: value for name, value in given.items()}}
    try:
        answer = ask_ledger(question)
    except LedgerAway as error:
        raise away("ledger_away", str(error)) from None
    if "error" in answer:
        raise away("ledger_away", str(answer["error"]))
    if "unknown" in answer:
        raise _unknown(str(answer["unknown"]))
    return answer


def _unknown(what: str) -> Refused:
    return Refused(404, "not_found", f"there is no such {what}", _PARAM_OF.get(what))


def _seen_limits(limits: Sequence[Mapping[str, Any]], models: tuple[str, ...] | None) -> list[Mapping[str, Any]]:
    """Those that hold for a key that is confined to models. Others' names are none of its business."""
    if models is None:
        return list(limits)
    shown: list[Mapping[str, Any]] = []
    for limit in limits:
        scope = dict(limit["scope"])
        if "model" in scope and scope["model"] not in models:
            continue
        if "models" in scope:
            scope["models"] = [model for model in scope["models"] if model in models]
            if not scope["models"]:
                continue
        shown.append({**limit, "scope": scope})
    return shown


async def _periods(tenant: str, where: Where, store: Store, now_s: int) -> tuple[dict[str, Any] | None, str | None]:
    periods = current_periods(now_s)
    answers = [_NOTHING] * len(periods)
    if where.get("model") != ():
        questions = [
            Sums(tenant=tenant, since_s=since_s, until_s=until_s, where=dict(where))
            for since_s, until_s in periods.values()
        ]
        try:
            async with asyncio.timeout(PERIODS_WITHIN_S):
                answers = await asyncio.gather(*(asked(store, question) for question in questions))
        except TimeoutError:
            return None, None
        except Refused as refused:
            if refused.status == 503:
                return None, None
            raise
    found = {
        name: {"start_time": since_s, "end_time": until_s, **_sums(answer)}
        for (name, (since_s, until_s)), answer in zip(periods.items(), answers, strict=True)
    }
    until_ms = min(answer.stored_until_ms for answer in answers)
    return found, moment(until_ms) if until_ms else None


def current_periods(now_s: int) -> dict[str, tuple[int, int]]:
    """Day and month of UTC's calendar that it is, whole."""
    day = dt.datetime.fromtimestamp(now_s, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    after = (month + dt.timedelta(days=32)).replace(day=1)
    times = {"day": (day, day + dt.timedelta(days=1)), "month": (month, after)}
    return {name: (int(since.timestamp()), int(until.timestamp())) for name, (since, until) in times.items()}


def _sums(answer: SumsAnswer) -> dict[str, Any]:
    """Of one bucket without groups: one row, or none where nothing was used."""
    row = answer.rows[0] if answer.rows else None
    return {
        "num_model_requests": row.requests if row else 0,
        "num_estimated_requests": row.estimated_requests if row else 0,
        "input_tokens": row.prompt_tokens if row else 0,
        "input_cached_tokens": row.cached_tokens if row else 0,
        "input_cache_write_tokens": row.cache_write_tokens if row else 0,
        "output_tokens": row.completion_tokens if row else 0,
        "output_reasoning_tokens": row.reasoning_tokens if row else 0,
        "cost_usd": f"{dollars(row.price_nano):f}" if row else "0",
    }
