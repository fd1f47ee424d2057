"""What an invoice says: from sums of usage to the JSON that is stored, shown and made into a page. Pure.

The same usage gives the same document but for what the day of issue decides: number, `issued_at` and `due_on`.
Amounts are text, exact per line; only `total` is rounded.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from control.credits.months import MonthOfCredits
from control.invoices.amounts import NANO, ROUNDING, cents_text, dollars, nano_text, text_of, to_cents
from control.invoices.months import Month
from control.invoices.overage import Overage
from control.store.invoices import Issued, Kind
from headgate.declared import DeclaredBilling
from headgate.limits import KINDS
from headgate.usage_questions import SumRow

CURRENCY = "USD"
TAXES = "Without taxes: they are added by the seller's billing system."
_QUANTITIES = {  # by what they are called on the invoice
    "requests": "requests",
    "input_tokens": "prompt_tokens",
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "output_tokens": "completion_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "units": "units",
}


@dataclass(frozen=True, slots=True)
class Charged:
    """What a tenant is charged for a month, before it has a number. `credits` None: it has no account."""

    tenant: str
    display_name: str | None
    month: Month
    lines: tuple[SumRow, ...]
    overages: tuple[Overage, ...]
    credits: MonthOfCredits | None = None

    @property
    def charges(self) -> int:
        """Whoever pays them, as amounts.py counts."""
        return sum(line.price_nano for line in self.lines) * NANO + sum(one.amount for one in self.overages)

    @property
    def units(self) -> int:
        """The exact sum of what is to be paid."""
        return self.charges - (self.credits.covered * NANO if self.credits else 0)

    @property
    def total_cents(self) -> int:
        """As it is paid."""
        return int(to_cents(self.units) * 100)


@dataclass(frozen=True, slots=True)
class Head:
    """What the day of issue decides."""

    seq: int
    issued_at: dt.datetime
    billing: DeclaredBilling

    @property
    def number(self) -> str:
        """In one sequence, whatever the prefix is by then."""
        return f"{self.billing.prefix}{self.seq:06d}"


def charged_lines(rows: Iterable[SumRow]) -> tuple[SumRow, ...]:
    """Those that say something, in the order of the invoice. What was only refused is on none."""
    said = [row for row in rows if row.price_nano or any(getattr(row, name) for name in _QUANTITIES.values())]
    return tuple(sorted(said, key=lambda row: (row.group["model"], row.group["surface"], row.group["unit"])))


def invoice_document(head: Head, charged: Charged) -> dict[str, Any]:
    """An invoice."""
    month = charged.month
    return {
        **_head(head, "invoice"),
        "tenant": charged.tenant,
        "tenant_name": charged.display_name,
        "month": month.name,
        "period": {"start": _moment(month.start), "end": _moment(month.end)},
        "lines": [_line(row) for row in charged.lines],
        "overage": [_overage(one) for one in charged.overages],
        "credits": _credits(charged.credits) if charged.credits else None,
        "subtotal": text_of(dollars(charged.units)),
        "rounding": ROUNDING,
        "total": cents_text(charged.total_cents),
    }


def credit_document(head: Head, of: Issued, document: dict[str, Any], reason: str) -> dict[str, Any]:
    """The credit note that takes an invoice back as a whole."""
    same = ("tenant", "tenant_name", "month", "period")
    return {
        **_head(head, "credit_note"),
        **{name: document[name] for name in same},
        "corrects": {"number": of.number, "issued_at": document["issued_at"], "sha256": of.document_digest.hex()},
        "reason": reason,
        "total": cents_text(-of.total_cents),
    }


def event_document(issued: Issued, document: dict[str, Any]) -> dict[str, Any]:
    """What a webhook says of it."""
    names = ("tenant", "number", "month", "currency", "total", "due_on")
    data = {name: document[name] for name in names} | {"sha256": issued.document_digest.hex()}
    if issued.kind == "credit_note":
        data["corrects"] = document["corrects"]["number"]
    return {"type": f"{issued.kind}.issued", "timestamp": document["issued_at"], "data": data}


def _head(head: Head, kind: Kind) -> dict[str, Any]:
    billing = head.billing
    due = None
    if kind == "invoice" and billing.due_days is not None:
        due = (head.issued_at + dt.timedelta(days=billing.due_days)).date().isoformat()
    return {
        "number": head.number,
        "kind": kind,
        "issued_at": _moment(head.issued_at),
        "due_on": due,
        "currency": CURRENCY,
        "seller": {"name": billing.seller, "address": list(billing.address)} if billing.seller else None,
        "taxes": TAXES,
        "notes": billing.notes,
    }


def _line(row: SumRow) -> dict[str, Any]:
    return {
        "model": row.group["model"],
        "surface": row.group["surface"],
        "unit": row.group["unit"] or None,
        **{name: getattr(row, field) for name, field in _QUANTITIES.items()},
        "estimated_requests": row.estimated_requests,
        "amount": nano_text(row.price_nano),
    }


def _overage(one: Overage) -> dict[str, Any]:
    row = one.limit.row
    return {
        "limit": row.kind,
        "by": list(row.by),
        "models": None if row.models is None else list(row.models),
        "key": one.limit.key,
        "included": row.cap,
        "windows": one.windows,
        "quantity": one.above,
        "unit": KINDS[row.kind].dimension,
        "price": nano_text(row.overage_price or 0),
        "per": one.limit.per,
        "amount": text_of(dollars(one.amount)),
    }


def _credits(month: MonthOfCredits) -> dict[str, str]:
    names = ("opening", "booked", "used", "expired", "closing", "covered", "uncovered")
    return {name: nano_text(getattr(month, name)) for name in names}


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sorted_overages(found: Sequence[Overage]) -> tuple[Overage, ...]:
    """In the order of the limits: a tenant's own, then its keys'."""
    kinds = list(KINDS)
    return tuple(sorted(found, key=lambda one: (one.limit.key or "", kinds.index(one.limit.row.kind))))
