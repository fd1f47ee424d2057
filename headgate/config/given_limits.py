"""The limits of an entry of gateway.yaml in the form that the tables have them. Pure."""

from collections.abc import Iterator

from headgate.config.limits import (
    CalendarLimit,
    Credits,
    Limit,
    Limits,
    MoneyLimit,
    Overage,
    PlanLimits,
    Rule,
    SoftLimit,
    TenantLimits,
    WindowLimit,
)
from headgate.limits import KINDS, SCOPES, GivenLimits, LimitRow, Scope


def given_limits(limits: Limits) -> GivenLimits:
    """Of a plan, a tenant or a key."""
    kinds = {row.kind: row for row in _rows(limits)}
    if not isinstance(limits, PlanLimits | TenantLimits):
        return GivenLimits(kinds)
    rules = None if limits.per is None else tuple(row for rule in limits.per for row in _rule_rows(rule))
    return GivenLimits(kinds, rules, limits.anniversary, limits.priority, limits.share)


def _rule_rows(rule: Rule) -> Iterator[LimitRow]:
    by = tuple(scope for scope in SCOPES if scope in rule.by)
    models = None if rule.models is None else tuple(sorted(rule.models))
    return (row for row in _rows(rule, by, models) if not row.lifts)


def _rows(limits: Limits, by: tuple[Scope, ...] = (), models: tuple[str, ...] | None = None) -> Iterator[LimitRow]:
    for kind in KINDS:
        limit = getattr(limits, kind, None)
        if isinstance(limit, Credits):
            yield LimitRow(kind, None, floor=limit.floor, low=limit.low)
        elif limit is not None:
            yield _row(kind, limit, by, models)


def _row(kind: str, limit: Limit, by: tuple[Scope, ...], models: tuple[str, ...] | None) -> LimitRow:
    overage = limit.overage if isinstance(limit, CalendarLimit | MoneyLimit) else None
    burst = limit.burst if isinstance(limit, WindowLimit) else None
    return LimitRow(
        kind=kind,
        cap=limit.limit,
        soft=limit.soft if isinstance(limit, SoftLimit) else None,
        ceiling=overage.ceiling if overage else None,
        overage_price=overage.price if isinstance(overage, Overage) else None,
        burst=burst or 0,
        refill_ms=round(limit.refill_s * 1000) if isinstance(limit, WindowLimit) and burst else 0,
        by=by,
        models=models,
    )
