"""How far a key may go that a caller makes or changes: never further than the caller itself, or its tenant.

What is not said of a new key is the maker's own: one that is scoped makes keys of its scope, one with limits makes
none. A key that is there is compared, and never made narrower. A platform admin has no bounds but the tenant's
existence. Reads the store and decides nothing else.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from control.call import Call
from control.masking import text_of
from control.problems import Finding, Problem
from control.store.keys import find_key
from control.store.plans import find_limits, find_plan
from control.store.tenants import find_tenant, list_grants
from control.store.unit import Reader
from control.store.values import VirtualKey
from headgate.config.limits import CalendarLimit, Limit, Limits, MoneyLimit, PlanLimits, TenantLimits, WindowLimit
from headgate.limits import KINDS_OF_PARTS


@dataclass(frozen=True, slots=True)
class Bounds:
    """None is none. `own` are the caller's limits by kind, as documents; `others` hold for all keys."""

    endpoints: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Limit] = field(default_factory=dict)
    ends_at: dt.datetime | None = None
    granted: tuple[str, ...] = ()

    @property
    def is_key_bound(self) -> bool:
        """Whether any of them is the caller's own."""
        return bool(self.own) or any(one is not None for one in (self.endpoints, self.models, self.ends_at))


def bounds_of(call: Call, reader: Reader, tenant: str) -> Bounds:
    """Of a caller that is no platform admin. Raises Problem when its key is gone meanwhile."""
    granted = granted_models(call, reader, tenant)
    others = _per_key(call, reader, tenant)
    identity = call.asker.identity
    if identity.kind == "user":
        row = find_limits(reader, tenant, "user", identity.id)
        return Bounds(own=row.limits if row else {}, others=others, granted=granted)
    if identity.kind != "key" or identity.tenant != tenant:
        return Bounds(granted=granted, others=others)
    key = find_key(reader, tenant, identity.id)
    if key is not None:
        return Bounds(key.endpoints, key.models, key.limits or {}, others, key.ends_at, granted)
    declared = call.declared.tenants.get(tenant)
    for one in declared.keys if declared else ():
        if one.name == identity.id:
            ends_at = None if one.expires is None else dt.datetime.fromtimestamp(one.expires, dt.UTC)
            return Bounds(own=one.limits, others=others, ends_at=ends_at, granted=granted)
    raise Problem(403, "role_not_allowed", "your key is gone")


def granted_models(call: Call, reader: Reader, tenant: str) -> tuple[str, ...]:
    """Those of gateway.yaml where it declares the tenant, else the database's."""
    declared = call.declared.tenants.get(tenant)
    if declared is not None:
        return tuple(declared.models)
    return tuple(grant.model for grant in list_grants(reader, tenant))


def check_may_make(bounds: Bounds) -> None:
    """Raises Problem (403) for a maker with limits: its keys would each count for themselves, and add up."""
    if bounds.own:
        text = (
            "you have limits of your own, and each key that you made would have as much again: you may not make keys"
        )
        raise Problem(403, "more_than_yours", text)


def filled(key: VirtualKey, bounds: Bounds) -> VirtualKey:
    """A key to be, with the maker's own where nothing is said."""
    return replace(
        key,
        endpoints=bounds.endpoints if key.endpoints is None else key.endpoints,
        models=bounds.models if key.models is None else key.models,
        expires_at=bounds.ends_at if key.expires_at is None else key.expires_at,
    )


def check_within(key: VirtualKey, bounds: Bounds, text: str) -> None:
    """Raises Problem (403), with this text, for what goes further; to have no bound is to go further than any."""
    errors = [*_scopes(key, bounds), *_limits(key, bounds)]
    if bounds.ends_at is not None and (key.ends_at is None or key.ends_at > bounds.ends_at):
        errors.append(Finding(at="expires_at", expected=f"no later than {text_of(bounds.ends_at)}"))
    if errors:
        raise Problem(403, "more_than_yours", text, errors)


def check_no_wider(before: VirtualKey, after: VirtualKey) -> None:
    """Raises Problem (403) if a change gives a key more than it has: who is over its maker may have set that."""
    if before.disabled and not after.disabled:
        raise Problem(403, "more_than_yours", "you may disable your keys: an owner enables them again")
    now = Bounds(before.endpoints, before.models, before.limits or {}, ends_at=before.ends_at)
    check_within(after, now, "you may not give a key more than it has")


def _scopes(key: VirtualKey, bounds: Bounds) -> Iterator[Finding]:
    for name, asked, most in (("endpoints", key.endpoints, bounds.endpoints), ("models", key.models, bounds.models)):
        if most is not None and (asked is None or not set(asked) <= set(most)):
            yield Finding(at=name, expected=f"some of {', '.join(most)}")


def _limits(key: VirtualKey, bounds: Bounds) -> Iterator[Finding]:
    asked = Limits.model_validate(plain(key.limits or {}))
    own = Limits.model_validate(plain(bounds.own))
    for kind in KINDS_OF_PARTS:
        wanted: Limit | None = getattr(asked, kind)
        for most, without in ((getattr(own, kind), Limit()), (bounds.others.get(kind), None)):
            given = wanted or without  # without its own, a key is held by what holds for all
            if given is not None and most is not None and _is_wider(given, most):
                yield Finding(at=f"limits.{kind}", expected=f"at most {most_of(most)}, without more burst or overage")


def _is_wider(wanted: Limit, most: Limit) -> bool:
    if most.limit is None:  # it warns only
        return False
    if wanted.limit is None or wanted.limit > most.limit:
        return True
    if isinstance(wanted, WindowLimit) and isinstance(most, WindowLimit):
        faster = wanted.burst is not None and wanted.refill_s < most.refill_s
        return (wanted.burst or 0) > (most.burst or 0) or faster
    if isinstance(wanted, CalendarLimit | MoneyLimit) and wanted.overage is not None:
        return getattr(most, "overage", None) != wanted.overage
    return False


def most_of(limit: Limit) -> int | None:
    """Requests, tokens or nano-USD."""
    return limit.limit


def _per_key(call: Call, reader: Reader, tenant: str) -> dict[str, Limit]:
    """What the plan, or what stands in its place, says that each key may have: a key's own limit would replace it."""
    plan, own = limits_of(call, reader, tenant)
    rules = plan.per if own.per is None else own.per
    found: dict[str, Limit] = {}
    for rule in rules:
        if list(rule.by) == ["key"] and rule.models is None:
            found |= {kind: limit for kind in KINDS_OF_PARTS if (limit := getattr(rule, kind)) is not None}
    return found


def limits_of(call: Call, reader: Reader, tenant: str) -> tuple[PlanLimits, TenantLimits]:
    """The plan's, and what takes its place."""
    declared = call.declared.tenants.get(tenant)
    if declared is not None:
        name, own = declared.plan, declared.limits
    else:
        row, limits = find_tenant(reader, tenant), find_limits(reader, tenant, "tenant", tenant)
        name, own = row.plan if row else None, dict(limits.limits) if limits else {}
    return PlanLimits.model_validate(plan_document(call, reader, name)), TenantLimits.model_validate(plain(own))


def plan_document(call: Call, reader: Reader, name: str | None) -> dict[str, Any]:
    """The limits of a plan, as written; none for a plan that is not there."""
    if name is None:
        return {}
    if name in call.declared.plans:
        return dict(call.declared.plans[name].limits)
    row = find_plan(reader, name)
    return plain(row.limits) if row else {}


def plain(value: Any) -> Any:
    """A document of the store's as JSON has it: arrays are lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value
