"""Invoices and credit notes as they were issued: numbered in one sequence without gaps, and never changed.

A number is given in the unit that stores what it is of, so there is no moment with the one and without the other.
What a deleted tenant was billed stays, detached: it is nobody's but the platform's.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement

from control.store.base import table_of
from control.store.billing_tables import InvoiceRow
from control.store.failures import StoreDamaged
from control.store.paging import Page, Wish, cursor_of, filled, place_of
from control.store.unit import Reader, Unit
from control.store.values import NEVER

Kind = Literal["invoice", "credit_note"]
_TABLE = table_of(InvoiceRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One of them, without its texts. `corrects` is the `seq` of the invoice that it takes back."""

    seq: int
    number: str
    kind: Kind
    customer: str
    month: str
    revision: int
    corrects: int | None = None
    issued_at: dt.datetime = NEVER
    total_cents: int
    document_digest: bytes = b""
    page_digest: bytes = b""
    detached_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """What was issued: the document is JSON, the page HTML."""

    document: bytes
    page: bytes


_NAMES = tuple(Issued.__slots__)
_COLUMNS = tuple(_TABLE.c[name] for name in _NAMES)


def next_seq(unit: Unit) -> int:
    """The number of what this unit issues next: it is alone until it ends."""
    row = unit.row(select(func.max(InvoiceRow.seq)))
    return 1 + ((row[0] or 0) if row else 0)


def last_issued(reader: Reader) -> Issued | None:
    """The one with the highest number."""
    row = reader.row(select(*_COLUMNS).order_by(InvoiceRow.seq.desc()).limit(1))
    return None if row is None else _issued(row)


def was_issued(reader: Reader, seq: int, document_digest: bytes) -> bool:
    """Whether that document has that place in the sequence."""
    row = reader.row(select(InvoiceRow.document_digest).where(InvoiceRow.seq == seq))
    return row is not None and row[0] == document_digest


def next_revision(unit: Unit, customer: str, month: str) -> int:
    """How many invoices of that month there will have been, whosever the name was."""
    row = unit.row(
        select(func.max(InvoiceRow.revision)).where(_TABLE.c.customer == customer, _TABLE.c.month == month)
    )
    return 1 + ((row[0] or 0) if row else 0)


def insert_issued(unit: Unit, issued: Issued, texts: Texts) -> Issued:
    """Stores it, and records that it was issued. Its `seq` is `next_seq`'s."""
    digests = {"document_digest": sha256(texts.document).digest(), "page_digest": sha256(texts.page).digest()}
    values = {name: getattr(issued, name) for name in _NAMES} | digests
    unit.run(insert(InvoiceRow).values(values | {"document": texts.document.decode(), "page": texts.page.decode()}))
    after = {name: values[name] for name in ("number", "month", "total_cents", "corrects")}
    unit.record(
        f"{issued.kind}.issue",
        issued.kind,
        issued.number,
        tenant_id=issued.customer if issued.detached_at is None else None,
        after=after | {name: digest.hex() for name, digest in digests.items()},
    )
    return Issued(**values)


def find_invoice(reader: Reader, customer: str, month: str) -> Issued | None:
    """The one that holds: not taken back, and not an earlier tenant's of that name."""
    wanted = (InvoiceRow.customer == customer, InvoiceRow.month == month, InvoiceRow.kind == "invoice")
    row = reader.row(select(*_COLUMNS).where(*wanted, InvoiceRow.detached_at.is_(None), ~_credited()))
    return None if row is None else _issued(row)


def find_number(reader: Reader, number: str, customer: str | None = None) -> Issued | None:
    """By its number; with `customer` only a living tenant's own."""
    row = reader.row(select(*_COLUMNS).where(InvoiceRow.number == number, *_of(customer)))
    return None if row is None else _issued(row)


def texts_of(reader: Reader, issued: Issued) -> Texts:
    """As they were issued. Raises StoreDamaged if they are not any more."""
    row = reader.row(select(InvoiceRow.document, InvoiceRow.page).where(InvoiceRow.seq == issued.seq))
    if row is None:
        raise StoreDamaged("an invoice is missing from the database")
    texts = Texts(row[0].encode(), row[1].encode())
    digests = (sha256(texts.document).digest(), sha256(texts.page).digest())
    if digests != (issued.document_digest, issued.page_digest):
        raise StoreDamaged("an invoice is not as it was issued")
    return texts


def list_issued(
    reader: Reader, wish: Wish, *, customer: str | None = None, month: str | None = None, of: str | None = None
) -> Page[Issued]:
    """The newest first. `customer`: only a living tenant's own; `of`: of that name, deleted tenants' too."""
    conditions = _of(customer)
    conditions += [InvoiceRow.month == month] if month is not None else []
    conditions += [InvoiceRow.customer == of] if of is not None else []
    if wish.after is not None:
        conditions.append(InvoiceRow.seq < place_of("invoices", wish.after, [int])[0])
    query = select(*_COLUMNS).where(*conditions).order_by(InvoiceRow.seq.desc())
    page = filled(
        wish,
        lambda after, most: reader.rows(query.offset(after).limit(most)),
        lambda row: cursor_of("invoices", [row.seq]),
    )
    return Page(tuple(_issued(row) for row in page.items), page.next)


def numbers_of(reader: Reader, seqs: Iterable[int]) -> dict[int, str]:
    """By `seq`."""
    found = reader.rows(select(InvoiceRow.seq, InvoiceRow.number).where(InvoiceRow.seq.in_(list(seqs))))
    return {row[0]: row[1] for row in found}


def credit_notes_of(reader: Reader, seqs: Iterable[int]) -> dict[int, str]:
    """The numbers of the credit notes of these invoices, by the invoice's `seq`."""
    found = reader.rows(select(InvoiceRow.corrects, InvoiceRow.number).where(InvoiceRow.corrects.in_(list(seqs))))
    return {row[0]: row[1] for row in found}


def detach(unit: Unit, customer: str) -> int:
    """The tenant is gone: what it was billed stays, under its name, and is no later tenant's. How many."""
    mine = (InvoiceRow.customer == customer, InvoiceRow.detached_at.is_(None))
    return unit.run(update(InvoiceRow).where(*mine).values(detached_at=unit.now))


def attached(reader: Reader, customer: str) -> int:
    """How many are a living tenant's."""
    mine = (InvoiceRow.customer == customer, InvoiceRow.detached_at.is_(None))
    row = reader.row(select(func.count()).select_from(InvoiceRow).where(*mine))
    return row[0] if row else 0


def _of(customer: str | None) -> list[ColumnElement[bool]]:
    return [] if customer is None else [InvoiceRow.customer == customer, InvoiceRow.detached_at.is_(None)]


def _credited() -> ColumnElement[bool]:
    note = aliased(InvoiceRow)
    return select(note.seq).where(note.corrects == InvoiceRow.seq).exists()


def _issued(row: Any) -> Issued:
    return Issued(**row._mapping)
