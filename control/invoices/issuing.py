"""Issues invoices: what a month has, asked of the usage store; then number, document, page and event in one unit.

The store is asked before the unit begins, so that nobody waits for it; what was issued meanwhile is found in the
unit, and answered instead.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from control.call import Call
from control.canonical import canonical
from control.credits.booking import book
from control.credits.days import day_of_moment
from control.credits.ending import brought_up
from control.credits.months import MonthOfCredits, month_of_credits
from control.invoices.amounts import nano_of
from control.invoices.checked import UsageHere, check_usage
from control.invoices.document import (
    Charged,
    Head,
    credit_document,
    event_document,
    invoice_document,
    sorted_overages,
)
from control.invoices.months import Month
from control.invoices.page import page_of
from control.invoices.readiness import check_over
from control.invoices.standing import usage_place
from control.invoices.tenants import customer_of
from control.invoices.usage import daily_use, lines_of, overages_of, tenants_with_usage
from control.store.columns import to_the_ms
from control.store.credits import CreditEntry, entries_of, find_account
from control.store.events import add_event
from control.store.invoices import (
    Issued,
    Texts,
    find_invoice,
    insert_issued,
    next_revision,
    next_seq,
    texts_of,
)
from control.store.unit import Unit

AT_ONCE = 50  # tenants that one request is about: its answer has to come in time
Status = Literal["issued", "already_issued", "nothing_to_charge", "tenant_deleted", "not_issued"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to become of one tenant's month. `reason`: why nothing is issued, and under which `status` then."""

    tenant: str
    charged: Charged | None = None
    there: Issued | None = None
    reason: str | None = None
    status: Status = "not_issued"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it."""

    tenant: str
    status: Status
    issued: Issued | None = None
    reason: str | None = None


def drafts_of(call: Call, month: Month, tenant: str | None, after: str | None) -> tuple[list[Draft], str | None]:
    """Of one tenant, or of the first that come after a name; and where to go on.

    Raises MonthNotOver, UsageIncomplete, UsageWentBack, UnknownGateways, UsageError.
    """
    check_over(month, dt.datetime.now(dt.UTC))
    if tenant is not None:
        with call.read() as reader:
            there = find_invoice(reader, tenant, month.name)
        if there is not None:
            return [Draft(tenant, there=there)], None
    _check_usage(call, month)
    names: Sequence[str] = (tenant,) if tenant is not None else tenants_with_usage(call.tools.ask_usage, month)
    names = [name for name in names if after is None or name > after]
    chosen = names[:AT_ONCE]
    return [_draft(call, month, name) for name in chosen], chosen[-1] if len(names) > AT_ONCE else None


def issue(unit: Unit, call: Call, draft: Draft) -> Result:
    """In a unit of work, which has other tenants' too. Raises InvoicesWentBack."""
    if draft.reason is not None:
        return Result(draft.tenant, draft.status, reason=draft.reason)
    charged = draft.charged
    there = find_invoice(unit, draft.tenant, charged.month.name) if charged else draft.there
    if there is not None:
        return Result(draft.tenant, "already_issued", there)
    if charged is None or not charged.charges:
        return Result(draft.tenant, "nothing_to_charge")
    month = charged.month.name
    _check_number(unit, call)
    head = Head(next_seq(unit), unit.now, call.declared.billing)
    document = invoice_document(head, charged)
    drawn = Issued(
        seq=head.seq,
        number=head.number,
        kind="invoice",
        customer=draft.tenant,
        month=month,
        revision=next_revision(unit, draft.tenant, month),
        issued_at=to_the_ms(unit.now),
        total_cents=charged.total_cents,
    )
    issued = _stored(unit, call, drawn, document)
    if charged.credits:
        _adjust(unit, call, issued, charged.credits.uncovered, f"paid for by {issued.number}")
    return Result(draft.tenant, "issued", issued)


def credit(unit: Unit, call: Call, of: Issued, reason: str) -> Issued:
    """The credit note of an invoice, as a whole: the month can be billed anew then.

    Raises InvoicesWentBack, and as the store does.
    """
    _check_number(unit, call)
    head = Head(next_seq(unit), unit.now, call.declared.billing)
    said = msgspec.json.decode(texts_of(unit, of).document)
    document = credit_document(head, of, said, reason)
    drawn = Issued(
        seq=head.seq,
        number=head.number,
        kind="credit_note",
        customer=of.customer,
        month=of.month,
        revision=of.revision,
        corrects=of.seq,
        issued_at=to_the_ms(unit.now),
        total_cents=-of.total_cents,
        detached_at=of.detached_at,
    )
    issued = _stored(unit, call, drawn, document)
    if said["credits"] is not None and of.detached_at is None:
        note = f"{of.number} was taken back by {issued.number}"
        _adjust(unit, call, issued, -nano_of(said["credits"]["uncovered"]), note)
    return issued


def _adjust(unit: Unit, call: Call, issued: Issued, amount_nano: int, note: str) -> None:
    """What the invoice bills of an account's use is no debt of the account any more."""
    if amount_nano and find_account(unit, issued.customer):  # not of a tenant that is deleted meanwhile
        entry = CreditEntry(
            customer=issued.customer,
            kind="adjustment",
            amount_nano=amount_nano,
            note=note,
            created_by=call.creator,
        )
        book(unit, entry)


def _check_number(unit: Unit, call: Call) -> None:
    call.tools.seen_invoices.check(unit, next_seq(unit), call.declared.billing.prefix)


def _stored(unit: Unit, call: Call, drawn: Issued, document: dict[str, object]) -> Issued:
    issued = insert_issued(unit, drawn, Texts(canonical(document), page_of(document).encode()))
    if call.declared.has_receiver and issued.detached_at is None:
        event_id = f"msg_{blake2b(issued.document_digest, digest_size=16, person=b'invoice').hexdigest()}"
        add_event(unit, event_id, issued.customer, canonical(event_document(issued, document)).decode())
    return issued


def _check_usage(call: Call, month: Month) -> None:
    tools = call.tools
    here = UsageHere(tools.ask_usage, tools.ask_marks, tools.host, usage_place(call.declared.usage, tools.host))
    check_usage(call.store, here, month, dt.datetime.now(dt.UTC))


def _draft(call: Call, month: Month, tenant: str) -> Draft:
    with call.read() as reader:
        there, customer = find_invoice(reader, tenant, month.name), customer_of(call, reader, tenant)
    if there is not None:
        return Draft(tenant, there=there)
    if customer.gone is not None:
        return Draft(tenant, reason=customer.gone, status="tenant_deleted" if customer.is_deleted else "not_issued")
    ask = call.tools.ask_usage
    paid = _credits(call, month, tenant)  # first: what comes meanwhile is then on a line, and not covered
    lines = lines_of(ask, tenant, month)
    if not lines and not customer.is_known:
        return Draft(tenant, reason="there is no such tenant, and no usage by that name")
    overages = sorted_overages(overages_of(ask, month, customer))
    return Draft(tenant, Charged(tenant, customer.name, month, lines, overages, paid))


def _credits(call: Call, month: Month, tenant: str) -> MonthOfCredits | None:
    """Of a month whose usage is all stored. What has ended in it is booked first, if nobody has done that yet."""
    with call.read() as reader:
        account = find_account(reader, tenant)
    if account is None or account.since_day > month.last_day:
        return None
    used = daily_use(call.tools.ask_usage, tenant, account.since_day, month.last_day)
    today = day_of_moment(dt.datetime.now(dt.UTC))
    brought_up(call.store, tenant, used, today, month.last_day)
    with call.read() as reader:
        return month_of_credits(entries_of(reader, tenant), used, month)
