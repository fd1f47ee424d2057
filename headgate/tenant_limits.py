"""A tenant's limits as the tables carry them: its plan's, and its own in their place. Pure."""

from collections.abc import Iterable, Iterator

from headgate.config.limits import (
    CalendarLimit,
    Limit,
    Limits,
    MoneyLimit,
    Overage,
    PlanLimits,
    Rule,
    SoftLimit,
    WindowLimit,
)
from headgate.config.model import Tenant
from headgate.limits import KINDS, SCOPES, LimitRow, LimitsRow, Scope

_NO_PLAN = PlanLimits()


def limits_of(plan: PlanLimits | None, tenant: Tenant) -> LimitsRow | None:
    """All that holds for a tenant; None if nothing does. First what counts for it as a whole, as in KINDS."""
    plan, own = plan or _NO_PLAN, tenant.limits
    given = {
        kind: own_limit or of_plan for kind, own_limit, of_plan in zip(KINDS, _each(own), _each(plan), strict=True)
    }
    rules = plan.per if own.per is None else own.per
    rows = (*_rows(given.items()), *(row for rule in rules for row in _rule_rows(rule)))
    keys = {key.name: tuple(_rows(zip(KINDS, _each(key.limits), strict=True), by=("key",))) for key in tenant.keys}
    keys = {name: some for name, some in keys.items() if some}
    if not rows and not keys:
        return None
    return LimitsRow(rows, keys, anniversary=own.anniversary or plan.anniversary)


def _each(limits: Limits) -> list[Limit | None]:
    """By kind, in the order of KINDS."""
    return [getattr(limits, kind) for kind in KINDS]


def _rule_rows(rule: Rule) -> Iterator[LimitRow]:
    by = tuple(scope for scope in SCOPES if scope in rule.by)
    models = None if rule.models is None else tuple(sorted(rule.models))
    return _rows(zip(KINDS, _each(rule), strict=True), by=by, models=models)


def _rows(
    limits: Iterable[tuple[str, Limit | None]], by: tuple[Scope, ...] = (), models: tuple[str, ...] | None = None
) -> Iterator[LimitRow]:
    for kind, limit in limits:
        if limit is not None and (limit.limit, _soft(limit)) != (None, None):
            yield _row(kind, limit, by, models)


def _soft(limit: Limit) -> int | None:
    return limit.soft if isinstance(limit, SoftLimit) else None


def _row(kind: str, limit: Limit, by: tuple[Scope, ...], models: tuple[str, ...] | None) -> LimitRow:
    overage = limit.overage if isinstance(limit, CalendarLimit | MoneyLimit) else None
    burst = limit.burst if isinstance(limit, WindowLimit) else None
    return LimitRow(
        kind=kind,
        cap=limit.limit,
        soft=_soft(limit),
        ceiling=overage.ceiling if overage else None,
        overage_price=overage.price if isinstance(overage, Overage) else None,
        burst=burst or 0,
        refill_ms=round(limit.refill_s * 1000) if isinstance(limit, WindowLimit) and burst else 0,
        by=by,
        models=models,
    )
