"""The tables of adapters and their versions: control/store/tables.py says what holds for all."""

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from control.store.base import Base, Directory, one_of
from control.store.columns import Document, Words
from headgate.directory.rows import ADAPTER_STATES


class AdapterRow(Directory, Base):
    """A tenant's adapter, or with `shared` for a tenant the platform's. `last_number` is that of its newest version,
    which may be gone: no number is given twice.
    """

    __tablename__ = "adapters"
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    name: Mapped[str] = mapped_column(Words(64), primary_key=True)
    base_model: Mapped[str] = mapped_column(Words(128))
    last_number: Mapped[int]
    created_by: Mapped[str] = mapped_column(Words(128))


class AdapterVersionRow(Directory, Base):
    """A version of one, by its number as text. `weight` is what a live one gets of the requests, in percent;
    `wanted_weight` what it is to get once engines have it, `wanted_at` since when, `wanted_back`: by a rollback.
    `sha256` is that of the weights, `manifest_sha256` that of what was signed, `facts` what that says; `staged_on`:
    the hosts whose engines have it. `alone_at`: when it came to have all requests last (control/adapters/states.py).
    """

    __tablename__ = "adapter_versions"
    __table_args__ = (
        CheckConstraint(one_of("state", ADAPTER_STATES), name="state"),
        CheckConstraint("(state = 'live') = (weight IS NOT NULL)", name="weight"),
        CheckConstraint("length(sha256) = 64 OR deleted_at IS NOT NULL", name="sha256"),
    )
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    name: Mapped[str] = mapped_column(Words(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Words(16))
    sha256: Mapped[str] = mapped_column(Words(64))
    manifest_sha256: Mapped[str | None] = mapped_column(Words(64))
    size_bytes: Mapped[int]
    rank: Mapped[int | None]
    facts: Mapped[Any] = mapped_column(Document)
    weight: Mapped[int | None]
    wanted_weight: Mapped[int | None]
    wanted_at: Mapped[dt.datetime | None]
    wanted_back: Mapped[bool]
    staged_on: Mapped[Any] = mapped_column(Document)
    failure: Mapped[str | None] = mapped_column(Words(1024))
    created_by: Mapped[str] = mapped_column(Words(128))
    staged_at: Mapped[dt.datetime | None]
    live_at: Mapped[dt.datetime | None]
    alone_at: Mapped[dt.datetime | None]
    retired_at: Mapped[dt.datetime | None]
