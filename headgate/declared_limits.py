"""Limits back to what gateway.yaml says of them: plain JSON, amounts of money as text. Pure.

What is read from the result is the same limits again. Keys that say nothing are left out.
"""

from decimal import Decimal
from typing import Any

from headgate.config.limits import (
    UNLIMITED,
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
from headgate.limits import KINDS, NANO

_PLAN_SAYS_NOTHING, _TENANT_SAYS_NOTHING = PlanLimits(), TenantLimits()


def written(limits: Limits) -> dict[str, Any]:
    """Of a plan, a tenant or a key, by the names of gateway.yaml."""
    given = {kind: limit for kind in KINDS if (limit := getattr(limits, kind, None)) is not None}
    found = {kind: _credits(one) if isinstance(one, Credits) else _limit(one) for kind, one in given.items()}
    if isinstance(limits, PlanLimits | TenantLimits):
        silent = _PLAN_SAYS_NOTHING if isinstance(limits, PlanLimits) else _TENANT_SAYS_NOTHING
        if limits.per is not None and limits.per != silent.per:
            found["per"] = [_rule(rule) for rule in limits.per]
        if limits.anniversary != silent.anniversary:
            found["anniversary"] = limits.anniversary
        found |= {name: value for name in ("priority", "share") if (value := getattr(limits, name)) is not None}
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    return (
        ({"by": list(rule.by)} if rule.by else {})
        | ({"models": list(rule.models)} if rule.models else {})
        | written(rule)
    )


def _credits(limit: Credits) -> Any:
    if limit.floor is None:
        return UNLIMITED
    floor = _amount(limit.floor, money=True)
    return floor if limit.low is None else {"floor": floor, "low": _amount(limit.low, money=True)}


def _limit(limit: Limit) -> Any:
    money = isinstance(limit, MoneyLimit)
    said: dict[str, Any] = {} if limit.limit is None else {"limit": _amount(limit.limit, money=money)}
    if isinstance(limit, SoftLimit) and limit.soft is not None:
        said["soft"] = _amount(limit.soft, money=money)
    if isinstance(limit, WindowLimit) and limit.burst is not None:
        said |= {"burst": limit.burst, "refill": _duration(limit.refill_s)}
    if isinstance(limit, CalendarLimit | MoneyLimit) and (overage := limit.overage) is not None:
        said["overage"] = {"ceiling": _amount(overage.ceiling, money=money)}
        if isinstance(overage, Overage) and overage.price is not None:
            said["overage"]["price"] = _amount(overage.price, money=True)
    if not said:
        return UNLIMITED
    return said["limit"] if said.keys() == {"limit"} else said


def _amount(number: int, *, money: bool) -> int | str:
    """Of nano-USD as much as stands in gateway.yaml: `100`, `0.15`."""
    if not money:
        return number
    text = format(Decimal(number) / NANO, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(seconds: float) -> str:
    exact = Decimal(repr(seconds))
    return f"{exact.normalize():f}s"
