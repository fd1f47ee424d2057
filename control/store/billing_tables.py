"""The tables of invoices and credits, which nothing ever changes: control/store/tables.py says what holds for all."""

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from control.store.base import Base, Directory, one_of
from control.store.columns import Day, Digest, Document, Words

INVOICE_KINDS = ("invoice", "credit_note")
CREDIT_KINDS = ("prepaid", "granted", "adjustment", "expired")


class UsageGatewayRow(Base):
    """A gateway whose usage is this database's to bill: it stays when its host is removed.

    `run` and `batch` are the mark that it has had in the usage store `place`; null: none, or the loss was accepted.
    `host_id` null: no host has said that it is its own, an admin has.
    """

    __tablename__ = "usage_gateways"
    id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    host_id: Mapped[str | None] = mapped_column(Words(64))
    place: Mapped[str | None] = mapped_column(Words(256))
    run: Mapped[int | None]
    batch: Mapped[int | None]
    noted_at: Mapped[dt.datetime]


class LostInvoicesRow(Base):
    """Numbers that were given by a database that was put back since, as an admin has said: none is given again."""

    __tablename__ = "lost_invoices"
    prefix: Mapped[str] = mapped_column(Words(64), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    noted_at: Mapped[dt.datetime]


class InvoiceRow(Base):
    """An invoice, or the credit note of one, as it was issued: triggers refuse gaps and changes.

    `customer` is no `tenant_id`: what was billed is kept when a tenant is deleted. `detached_at` says that it was, so
    that a later tenant of that name sees none of it. `revision` counts the invoices of one customer and month, and
    `corrects` is the `seq` of the invoice that a credit note takes back.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        CheckConstraint(one_of("kind", INVOICE_KINDS), name="kind"),
        CheckConstraint("(kind = 'credit_note') = (corrects IS NOT NULL)", name="corrects"),
        Index("uq_invoices_customer_month_revision_kind", "customer", "month", "revision", "kind", unique=True),
        Index("uq_invoices_number", "number", unique=True),
        Index("uq_invoices_corrects", "corrects", unique=True),
        Index("ix_invoices_month_seq", "month", "seq"),
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[str] = mapped_column(Words(64))
    kind: Mapped[str] = mapped_column(Words(16))
    customer: Mapped[str] = mapped_column(Words(256))
    month: Mapped[str] = mapped_column(Words(7))
    revision: Mapped[int]
    corrects: Mapped[int | None]
    issued_at: Mapped[dt.datetime]
    total_cents: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    document_digest: Mapped[bytes] = mapped_column(Digest)
    page: Mapped[str] = mapped_column(Text)
    page_digest: Mapped[bytes] = mapped_column(Digest)
    detached_at: Mapped[dt.datetime | None]


class CreditEntryRow(Base):
    """What was booked on a tenant's account of credits, in whole nano-USD: triggers refuse gaps and changes.

    `customer` and `detached_at` are as an invoice's. `ended` is the `seq` of the entry whose rest has expired.
    """

    __tablename__ = "credit_entries"
    __table_args__ = (
        CheckConstraint(one_of("kind", CREDIT_KINDS), name="kind"),
        CheckConstraint("(kind = 'expired') = (ended IS NOT NULL)", name="ended"),
        CheckConstraint(
            "(kind IN ('prepaid', 'granted') AND amount_nano > 0) OR (kind = 'expired' AND amount_nano <= 0)"
            " OR (kind = 'adjustment' AND amount_nano <> 0)",
            name="amount_nano",
        ),
        CheckConstraint("expires_on IS NULL OR kind IN ('prepaid', 'granted')", name="expires_on"),
        Index("uq_credit_entries_id", "id", unique=True),
        Index("uq_credit_entries_ended", "ended", unique=True),
        Index("ix_credit_entries_customer_seq", "customer", "seq"),
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(Words(64))
    customer: Mapped[str] = mapped_column(Words(64))
    kind: Mapped[str] = mapped_column(Words(16))
    amount_nano: Mapped[int]
    expires_on: Mapped[dt.date | None] = mapped_column(Day)
    note: Mapped[str] = mapped_column(Words(256))
    ended: Mapped[int | None]
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str] = mapped_column(Words(128))
    detached_at: Mapped[dt.datetime | None]


class CreditAccountRow(Directory, Base):
    """What workers are told of a tenant's account: headgate/credits.py. Made of its entries."""

    __tablename__ = "credit_accounts"
    tenant_id: Mapped[str] = mapped_column(Words(64), primary_key=True)
    since_day: Mapped[int]
    booked_nano: Mapped[int]
    ending: Mapped[Any] = mapped_column(Document)
