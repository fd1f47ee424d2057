"""The kinds of columns that both databases hold alike, and that refuse what one of them would not take.

SQLite checks neither lengths nor types, PostgreSQL takes no NUL: here both refuse, with ValueError.
"""

import datetime as dt
import json
from typing import Any

from sqlalchemy import BigInteger, Dialect, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from control.canonical import canonical

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class Words(TypeDecorator[str]):
    """Text of at most `length` characters, ordered by its code points in both databases."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL would order by the language of the database otherwise."""
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.length, collation=collation))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Refuses what does not fit."""
        if value is not None and (len(value) > self.length or not _storable(value)):
            raise ValueError(f"expected text of at most {self.length} characters, without NUL")
        return value


class Document(TypeDecorator[Any]):
    """Canonical JSON, as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """None is NULL, not `null`."""
        return None if value is None else canonical(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's
        """Arrays come as tuples: what is read is never changed."""
        return None if value is None else _frozen(json.loads(value))


class Moment(TypeDecorator[dt.datetime]):
    """A time in UTC, to the millisecond: milliseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """Refuses times without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("expected a time with its zone")
        return (value - _EPOCH) // _MS

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """In UTC."""
        return None if value is None else _EPOCH + value * _MS


class Day(TypeDecorator[dt.date]):
    """A day of UTC: days since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.date | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """As a number."""
        return None if value is None else (value - _EPOCH.date()).days

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.date | None:  # noqa: ARG002 - SQLAlchemy's
        """Back."""
        return None if value is None else _EPOCH.date() + dt.timedelta(days=value)


class Digest(TypeDecorator[bytes]):
    """32 bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - SQLAlchemy's
        """Refuses other lengths."""
        if value is not None and len(value) != 32:
            raise ValueError("expected 32 bytes")
        return value


def to_the_ms(moment: dt.datetime) -> dt.datetime:
    """As a column gives it back."""
    return _EPOCH + (moment - _EPOCH) // _MS * _MS


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
