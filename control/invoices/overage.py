"""What was used above limits that have a price for it. Pure.

Nothing keeps what limits were. So those count that hold when the invoice is made, for all of its windows, and the
invoice says which they are. A window is billed with the month that it ends in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from control.invoices.months import Month, windows_ending_in
from headgate.limits import KINDS, LimitRow, LimitsRow
from headgate.usage_questions import Dimension, SumRow, Sums

_DIMENSIONS: dict[str, Dimension] = {"key": "key_id", "model": "model", "user": "user"}
_PER = {"requests": 1_000, "tokens": 1_000_000}


@dataclass(frozen=True, slots=True)
class PricedLimit:
    """A limit with a price. `key`: it is this one's alone. `others`: keys that have one of their own in its place."""

    row: LimitRow
    anniversary: int
    key: str | None = None
    others: frozenset[str] = field(default_factory=frozenset)

    @property
    def per(self) -> int:
        """For how many requests or tokens the price is."""
        return _PER[KINDS[self.row.kind].dimension]


@dataclass(frozen=True, slots=True)
class Overage:
    """What was used above a limit, in all windows and counters that went beyond; `amount` as control/invoices/amounts
    counts.
    """

    limit: PricedLimit
    windows: int
    above: int
    amount: int


def priced_limits(limits: LimitsRow | None) -> Iterator[PricedLimit]:
    """Those whose overage costs something; a tenant's own, then those of its keys."""
    if limits is None:
        return
    for row in limits.limits:
        if _is_priced(row):
            yield PricedLimit(row, limits.anniversary, others=frozenset(_replacing(limits, row)))
    for key, rows in sorted(limits.keys.items()):
        yield from (PricedLimit(row, limits.anniversary, key) for row in rows if _is_priced(row))


def question_of(limit: PricedLimit, tenant: str, month: Month) -> Sums | None:
    """What has to be known, by days; None if no window of it ends in the month."""
    windows = windows_ending_in(month, KINDS[limit.row.kind].shape, limit.anniversary)
    if not windows:
        return None
    by = [_DIMENSIONS[scope] for scope in limit.row.by]
    if limit.row.models is not None and "model" not in by:
        by.append("model")  # not `where`: adapters go by their base models
    return Sums(
        tenant=tenant,
        since_s=windows[0][0],
        until_s=windows[-1][1],
        width="day",
        by=tuple(by),
        where={} if limit.key is None else {"key_id": (limit.key,)},
    )


def overage_of(
    limit: PricedLimit, month: Month, sums: Iterable[SumRow], base_models: Mapping[str, str]
) -> Overage | None:
    """Of the answer to `question_of`; None where nothing was above. `base_models`: of adapters."""
    row, by_key = limit.row, limit.row.by == ("key",)
    used: defaultdict[tuple[int, tuple[str, ...]], int] = defaultdict(int)
    windows = windows_ending_in(month, KINDS[row.kind].shape, limit.anniversary)
    starts = _starts(windows)
    for one in sums:
        named = one.group.get("model", "")
        model = base_models.get(named, named)
        if (row.models is not None and model not in row.models) or (by_key and one.group["key_id"] in limit.others):
            continue
        group = tuple(model if scope == "model" else one.group[_DIMENSIONS[scope]] for scope in row.by)
        used[starts[one.start_s], group] += _used(row, one)
    over = {window: count - (row.cap or 0) for window, count in used.items() if count > (row.cap or 0)}
    if not over:
        return None
    above = sum(over.values())
    amount = above * (row.overage_price or 0) * 10**6 // limit.per  # exact: `per` divides 10^6
    return Overage(limit, len({start for start, _ in over}), above, amount)


def _is_priced(row: LimitRow) -> bool:
    return None not in (row.cap, row.ceiling) and bool(row.overage_price)


def _replacing(limits: LimitsRow, row: LimitRow) -> Iterator[str]:
    """Keys with a limit in the place of this one."""
    if row.by == ("key",) and row.models is None:
        yield from (key for key, rows in limits.keys.items() if any(own.kind == row.kind for own in rows))


def _starts(windows: Iterable[tuple[int, int]]) -> dict[int, int]:
    """By each day's beginning, the beginning of its window."""
    return {day: start for start, end in windows for day in range(start, end, 86_400)}


def _used(row: LimitRow, one: SumRow) -> int:
    if KINDS[row.kind].dimension == "requests":
        return one.requests
    return one.prompt_tokens + one.completion_tokens
