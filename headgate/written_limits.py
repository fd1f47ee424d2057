"""Limits as the directory has them, in the words of gateway.yaml, in the form that the tables have them. Pure.

What is stored was checked when it was written. This reads it without the classes of gateway.yaml, which workers do
not load, and refuses whatever it does not know: a limit that is not kept must not look like none.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from headgate.config.values import duration, nano_usd, positive_nano_usd, signed_nano_usd, whole
from headgate.limits import (
    KINDS,
    KINDS_OF_PARTS,
    MOST_SHARE,
    PRIORITIES,
    SCOPES,
    GivenLimits,
    Kind,
    LimitRow,
    Priority,
    Scope,
)

UNLIMITED = "unlimited"
_REFILL = "10m"

_count, _day, _share = whole(1), whole(1, 31), whole(1, MOST_SHARE)


def written_limits(written: Mapping[str, Any]) -> GivenLimits:
    """Of a plan, a tenant or a key. Raises ValueError, with what is wrong."""
    rules = written.get("per")
    return GivenLimits(
        {row.kind: row for row in _rows(written, ("per", "anniversary", "priority", "share"), KINDS)},
        None if rules is None else tuple(row for rule in rules for row in _rule_rows(_mapping("per", rule))),
        _maybe(_day, written.get("anniversary")),
        _priority(written.get("priority")),
        _maybe(_share, written.get("share")),
    )


def _rule_rows(rule: Mapping[str, Any]) -> Iterator[LimitRow]:
    wanted, models = rule.get("by") or (), rule.get("models")
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise ValueError(f"unknown scope {unknown[0]!r}")
    by = tuple(scope for scope in SCOPES if scope in wanted)
    rows = _rows(rule, ("by", "models"), KINDS_OF_PARTS, by, None if models is None else tuple(sorted(models)))
    return (row for row in rows if not row.lifts)


def _rows(
    written: Mapping[str, Any],
    others: tuple[str, ...],
    kinds: Mapping[str, Kind],
    by: tuple[Scope, ...] = (),
    models: tuple[str, ...] | None = None,
) -> Iterator[LimitRow]:
    if unknown := [name for name in written if name not in kinds and name not in others]:
        raise ValueError(f"unknown limit {unknown[0]!r}")
    for name, kind in kinds.items():
        if written.get(name) is not None:
            is_account = kind.shape == "ever"
            yield _credits(name, written[name]) if is_account else _row(kind, written[name], by, models)


def _row(kind: Kind, value: Any, by: tuple[Scope, ...], models: tuple[str, ...] | None) -> LimitRow:
    if value == UNLIMITED:
        return LimitRow(kind.name, None, by=by, models=models)
    given = value if isinstance(value, Mapping) else {"limit": value}
    if unknown := given.keys() - _parts_of(kind):
        raise ValueError(f"{kind.name} has no {min(unknown)!r}")
    amount = positive_nano_usd if kind.dimension == "usd" else _count
    overage = _mapping(kind.name, given.get("overage") or {})
    burst = _maybe(_count, given.get("burst")) or 0
    return LimitRow(
        kind=kind.name,
        cap=_maybe(amount, given.get("limit")),
        soft=_maybe(amount, given.get("soft")),
        ceiling=_maybe(amount, overage.get("ceiling")),
        overage_price=_maybe(nano_usd, overage.get("price")),
        burst=burst,
        refill_ms=round(duration(given.get("refill", _REFILL)) * 1000) if burst else 0,
        by=by,
        models=models,
    )


def _credits(name: str, value: Any) -> LimitRow:
    if value == UNLIMITED:
        return LimitRow(name, None)
    given = value if isinstance(value, Mapping) else {"floor": value}
    if unknown := given.keys() - {"floor", "low"}:
        raise ValueError(f"{name} has no {min(unknown)!r}")
    low = _maybe(signed_nano_usd, given.get("low"))
    return LimitRow(name, None, floor=signed_nano_usd(given.get("floor", 0)), low=low)


def _priority(value: Any) -> Priority | None:
    found = [one for one in PRIORITIES if one == value]
    if value is not None and not found:
        raise ValueError(f"unknown priority {value!r}")
    return found[0] if found else None


def _parts_of(kind: Kind) -> set[str]:
    if kind.shape == "slots":
        return {"limit"}
    return {"limit", "soft", *(("burst", "refill") if kind.shape == "window" else ("overage",))}


def _maybe(parse: Callable[[Any], int], value: Any) -> int | None:
    return None if value is None else parse(value)


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} has no mapping where one was expected")  # noqa: TRY004 - as other values
    return cast("Mapping[str, Any]", value)
