"""What a question may be: bounds of its times, its rows, and of what it names. Pure."""

from headgate.usage_questions import (
    LAST_S,
    MOST_EXPORTED,
    MOST_SUMS,
    MOST_VALUES,
    Export,
    Question,
    Sums,
)

_LONGEST_VALUE = 4_096  # characters; longer names are in no row
_LONGEST_VALUES = 60_000  # bytes: a ClickHouse takes 128 KiB as one parameter, with what it escapes
_ESTIMATED = ("true", "false")


class Invalid(ValueError):  # noqa: N818 - it is the question that is
    """The text says what is wrong with the question, and what is allowed."""


def check(question: Question) -> None:
    """Raises Invalid."""
    if not 0 <= question.since_s < question.until_s <= LAST_S:
        raise Invalid(f"since_s, until_s: need 0 <= since_s < until_s <= {LAST_S}")
    most = MOST_SUMS if isinstance(question, Sums) else MOST_EXPORTED
    if not 1 <= question.limit <= most:
        raise Invalid(f"limit: needs 1 to {most}, found {question.limit}")
    if isinstance(question, Sums) and len(set(question.by)) < len(question.by):
        raise Invalid("by: names a dimension twice")
    if question.tenant is not None and len(question.tenant) > _LONGEST_VALUE:
        raise Invalid(f"tenant: is longer than {_LONGEST_VALUE} characters")
    _check_where(question)


def _check_where(question: Sums | Export) -> None:
    for dimension, values in question.where.items():
        if not 1 <= len(values) <= MOST_VALUES:
            raise Invalid(f"where.{dimension}: needs 1 to {MOST_VALUES} values, found {len(values)}")
        if any(len(value) > _LONGEST_VALUE for value in values):
            raise Invalid(f"where.{dimension}: a value is longer than {_LONGEST_VALUE} characters")
        if sum(len(value.encode()) for value in values) > _LONGEST_VALUES:
            raise Invalid(f"where.{dimension}: its values are longer than {_LONGEST_VALUES} bytes in all")
        if dimension == "estimated" and not set(values) <= set(_ESTIMATED):
            raise Invalid("where.estimated: may be true and false")
