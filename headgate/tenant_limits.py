"""A tenant's limits as the tables carry them: its plan's, and its own in their place. Pure."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from headgate.limits import KINDS, KINDS_OF_PARTS, GivenLimits, LimitRow, LimitsRow

NOTHING = GivenLimits()


def limits_of(plan: GivenLimits | None, own: GivenLimits, callers: Mapping[str, GivenLimits]) -> LimitsRow | None:
    """All that holds for a tenant; None if nothing does. First what counts for it as a whole, as in KINDS.

    `callers` has what single keys and people are given, by what the limiter knows them as.
    """
    plan = plan or NOTHING
    kinds = {**plan.kinds, **own.kinds}
    rules = plan.per if own.per is None else own.per
    rows = (*_holding(kinds[kind] for kind in KINDS if kind in kinds), *(rules or ()))
    row = LimitsRow(
        rows,
        anniversary=own.anniversary or plan.anniversary or 1,
        priority=own.priority or plan.priority or "normal",
        share=own.share or plan.share or 1,
    )
    return _with(row, callers)


def with_callers(limits: LimitsRow | None, callers: Mapping[str, GivenLimits]) -> LimitsRow | None:
    """The same with further keys and people; those that are there already stay as they are."""
    limits = limits or LimitsRow()
    return _with(limits, {name: given for name, given in callers.items() if name not in limits.keys})


def _with(limits: LimitsRow, callers: Mapping[str, GivenLimits]) -> LimitsRow | None:
    # Of thousands of keys many are given the same object: theirs are the same rows.
    rows = {id(given): given for given in callers.values()}
    made = {number: _of_caller(given) for number, given in rows.items()}
    found = {name: made[id(given)] for name, given in callers.items()}
    keys = {**limits.keys, **{name: some for name, some in found.items() if some}}
    whole = replace(limits, keys=keys)
    return None if whole == LimitsRow() else whole


def _of_caller(given: GivenLimits) -> tuple[LimitRow, ...]:
    return _holding(replace(given.kinds[kind], by=("key",)) for kind in KINDS_OF_PARTS if kind in given.kinds)


def _holding(rows: Iterable[LimitRow]) -> tuple[LimitRow, ...]:
    """Without those that only lift a plan's."""
    return tuple(row for row in rows if not row.lifts)
