"""What stands on invoices beside what was used: who sends them. Nothing of it is in what they cost."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from headgate.config import values
from headgate.config.entry import Entry
from headgate.config.wording import found

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PREFIX = re.compile(r"[A-Za-z]|[A-Za-z0-9][A-Za-z0-9._-]{0,14}[A-Za-z._-]")  # a digit would run into the number
_MOST_NOTES = 2000


def _line(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 256 or _CONTROLS.search(value):
        raise ValueError(f"expected 1 to 256 characters on one line, found {found(value)}")
    return value


def _notes(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(text) <= _MOST_NOTES or _CONTROLS.search(text.replace("\n", "")):
        raise ValueError(f"expected 1 to {_MOST_NOTES} characters, found {found(value)}")
    return text


def _prefix(value: Any) -> str:
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        wanted = "1 to 16 letters, digits, '.', '_' and '-', no sign first and no digit last"
        raise ValueError(f"expected {wanted}, found {found(value)}")
    return value


_days: Callable[[Any], int] = values.whole(0, 365)


class Billing(Entry):
    """The seller as invoices name it; `due_days` after the day of issue they are to be paid."""

    seller: Annotated[str, PlainValidator(_line)]
    address: list[Annotated[str, PlainValidator(_line)]] = Field(default=[], max_length=8)
    notes: Annotated[str, PlainValidator(_notes)] | None = None
    due_days: Annotated[int, PlainValidator(_days)] | None = None
    prefix: Annotated[str, PlainValidator(_prefix)] = "INV-"
