"""What all rows of the directory have in common: found by key, changed by version, deleted to a tombstone."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, ColumnElement, and_, insert, literal, select, tuple_, update

from control.store.base import Base, table_of
from control.store.columns import Moment
from control.store.failures import Exists, Missing, Stale
from control.store.paging import Page, Wish, cursor_of, filled, place_of
from control.store.unit import Reader, Unit
from control.store.values import NEVER, Kept

V = TypeVar("V", bound=Kept)


class Rows(Generic[V]):
    """The rows of one table, as values of one class with fields of the same names."""

    def __init__(self, value: type[V], table: type[Base], *key: str) -> None:
        self.table = table_of(table)
        self.c = self.table.c
        self._value, self.key = value, key
        self._names = tuple(field.name for field in fields(value))
        self._columns = [self.c[name] for name in self._names]

    def value_of(self, row: Sequence[Any]) -> V:
        """Of a row of `query`."""
        return self._value(**dict(zip(self._names, row, strict=True)))

    def query(self, *conditions: ColumnElement[bool]) -> Any:
        """All columns of the rows that meet all conditions, tombstones too."""
        return select(*self._columns).where(*conditions)

    def living(self, *conditions: ColumnElement[bool]) -> Any:
        """The same without tombstones."""
        return self.query(self.c.deleted_at.is_(None), *conditions)

    def find(self, reader: Reader, *key: str | int) -> V | None:
        """The living row of that key."""
        row = reader.row(self.living(self._is(*key)))
        return None if row is None else self.value_of(row)

    def all(self, reader: Reader, *conditions: ColumnElement[bool]) -> tuple[V, ...]:
        """All living rows that meet the conditions, in the order of their keys."""
        order = [self.c[name] for name in self.key]
        return tuple(self.value_of(row) for row in reader.rows(self.living(*conditions).order_by(*order)))

    def insert(self, unit: Unit, value: V) -> V:
        """Raises Exists. A tombstone of that key is a row again."""
        there = unit.row(select(self.c.deleted_at).where(self._is_key_of(value)))
        if there is not None and there[0] is None:
            raise Exists("there is one of that name already")
        fresh = replace(value, version=unit.next_version(), created_at=unit.now, updated_at=unit.now, deleted_at=None)
        values = self._values(fresh)
        unit.run(
            insert(self.table).values(values)
            if there is None
            else update(self.table).where(self._is_key_of(value)).values(values)
        )
        return fresh

    def update(self, unit: Unit, value: V) -> V:
        """Raises Stale when the row is not the one that `value` was made from, Missing when there is none."""
        fresh = replace(value, version=unit.next_version(), updated_at=unit.now, deleted_at=None)
        self._write(unit, value, self._values(fresh))
        return fresh

    def delete(self, unit: Unit, value: V, **left: Any) -> V:
        """Leaves a tombstone, with `left` in place of what it need not hold. Raises as `update`."""
        gone = replace(value, version=unit.next_version(), updated_at=unit.now, deleted_at=unit.now, **left)
        self._write(unit, value, self._values(gone))
        return gone

    def delete_some(self, unit: Unit, most: int, *conditions: ColumnElement[bool], **left: Any) -> int:
        """Leaves tombstones of living rows that meet the conditions, at most so many; how many."""
        keys = [self.c[name] for name in self.key]
        found = unit.rows(select(*keys).where(self.c.deleted_at.is_(None), *conditions).order_by(*keys).limit(most))
        if not found:
            return 0
        last = [literal(item, column.type) for item, column in zip(found[-1], keys, strict=True)]
        meant = and_(self.c.deleted_at.is_(None), *conditions, tuple_(*keys) <= tuple_(*last))
        stamp = {"version": unit.next_version(), "updated_at": unit.now, "deleted_at": unit.now}
        return unit.run(
            update(self.table).where(meant).values({self.c[name]: item for name, item in (stamp | left).items()})
        )

    def page(
        self, reader: Reader, wish: Wish, *conditions: ColumnElement[bool], order: tuple[str, ...] = ()
    ) -> Page[V]:
        """A page of living rows, in ascending `order`, which ends in what is unique; by their keys without it."""
        names = order or self.key
        columns = [self.c[name] for name in names]
        query = self.living(*conditions).order_by(*columns)
        if wish.after is not None:
            query = query.where(tuple_(*columns) > tuple_(*self._place(wish.after, names)))
        page = filled(
            wish,
            lambda after, most: reader.rows(query.offset(after).limit(most)),
            lambda row: self._cursor(self.value_of(row), names),
        )
        return Page(tuple(self.value_of(row) for row in page.items), page.next)

    def _cursor(self, value: V, names: tuple[str, ...]) -> str:
        return cursor_of(self.table.name, [_plain(getattr(value, name)) for name in names])

    def _place(self, cursor: str, names: tuple[str, ...]) -> list[Any]:
        moments = [isinstance(self.c[name].type, Moment) for name in names]
        said = place_of(self.table.name, cursor, [int if is_moment else str for is_moment in moments])
        # A moment's column is compared with the number that it holds.
        return [
            literal(item, BigInteger() if is_moment else self.c[name].type)
            for name, item, is_moment in zip(names, said, moments, strict=True)
        ]

    def _write(self, unit: Unit, value: V, values: dict[Any, Any]) -> None:
        same = and_(self._is_key_of(value), self.c.version == value.version, self.c.deleted_at.is_(None))
        if unit.run(update(self.table).where(same).values(values)):
            return
        if unit.row(self.living(self._is_key_of(value))) is None:
            raise Missing("there is none of that name")
        raise Stale("it has changed since it was read")

    def _values(self, value: V) -> dict[Any, Any]:
        return {self.c[name]: getattr(value, name) for name in self._names}

    def _is_key_of(self, value: V) -> ColumnElement[bool]:
        return self._is(*(getattr(value, name) for name in self.key))

    def _is(self, *key: str | int) -> ColumnElement[bool]:
        return and_(*(self.c[name] == item for name, item in zip(self.key, key, strict=True)))


def _plain(value: Any) -> str | int:
    return (value - NEVER) // dt.timedelta(milliseconds=1) if isinstance(value, dt.datetime) else value
