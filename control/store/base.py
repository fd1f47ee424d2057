"""What all tables have in common: names of constraints, columns of the directory, and the list of them all."""

import datetime as dt
from typing import Any, ClassVar, cast

from sqlalchemy import BigInteger, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from control.store.columns import Moment

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {dt.datetime: Moment, int: BigInteger}


class Directory:
    """The columns of a row that workers are told about."""

    version: Mapped[int] = mapped_column(index=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    deleted_at: Mapped[dt.datetime | None]


def one_of(column: str, words: tuple[str, ...]) -> str:
    """A condition that a column says one of these words."""
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def table_of(rows: type[Base]) -> Table:
    """The table by itself, for statements that no class is to be made of."""
    return cast("Table", rows.__table__)
