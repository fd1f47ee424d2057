"""`/invoices` and `/tenants/{tenant}/invoices`: what tenants are billed for a month, and credit notes."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import structlog
from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response

from control.call import Call, Called, Done, shown
from control.fields import Body, Name, Shown, Time, text, text_schema
from control.found_tenant import tenant_of
from control.invoices.amounts import cents_text
from control.invoices.document import CURRENCY
from control.invoices.gateways import UnknownGateways, UsageWentBack
from control.invoices.issuing import Draft, credit, drafts_of, issue
from control.invoices.months import month_of
from control.invoices.readiness import MonthNotOver, UsageIncomplete
from control.invoices.seen import InvoicesWentBack
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.problems import Problem, conflict, not_found
from control.routing import Routes
from control.store.failures import StoreError
from control.store.invoices import (
    Issued,
    Texts,
    credit_notes_of,
    find_number,
    list_issued,
    numbers_of,
    texts_of,
)
from control.store.paging import Page, Wish
from control.store.unit import Reader, Unit
from headgate.config.wording import found
from headgate.usage_client import UsageError

routes = Routes("invoices")
log = structlog.get_logger()
_HTML: dict[int | str, dict[str, Any]] = {
    200: {"description": "One page, as it was issued.", "content": {"text/html": {"schema": {"type": "string"}}}}
}


def _month(value: Any) -> str:
    with contextlib.suppress(ValueError):
        return month_of(value if isinstance(value, str) else "").name
    raise ValueError(f"expected a month from 2020 on, such as 2026-11, found {found(value)}")


_MONTH_SCHEMA = {"type": "string", "pattern": "^20[2-9][0-9]-(0[1-9]|1[0-2])$", "maxLength": 7}
MonthName = Annotated[str, PlainValidator(_month), WithJsonSchema(_MONTH_SCHEMA)]
Reason = Annotated[str, PlainValidator(text(256)), WithJsonSchema(text_schema(256))]


class NewInvoices(Body):
    """Which month, in UTC; of one `tenant`, or of all, some at a time: `after` is `next` of the answer before."""

    month: MonthName
    tenant: Name | None = None
    after: Name | None = None


class NewCreditNote(Body):
    """`reason` stands on it."""

    reason: Reason


class NewLostInvoices(Body):
    """`reason` is for the audit log."""

    reason: Reason


class LostInvoices(Shown):
    """The last of what was lost: it, and all before it that the database lacks."""

    last: str
    sha256: str
    reason: str


class Invoice(Shown):
    """An invoice or a credit note. Amounts are text; `sha256` is of the document, `page_sha256` of the page.

    `corrects` is the number of the invoice that a credit note takes back, `corrected_by` that of the note.
    `tenant_deleted_at`: the tenant is gone, and what it was billed is kept.
    """

    number: str
    kind: Literal["invoice", "credit_note"]
    tenant: str
    month: str
    issued_at: Time
    currency: str
    total: str
    corrects: str | None
    corrected_by: str | None
    tenant_deleted_at: Time | None
    sha256: str
    page_sha256: str


class InvoiceList(Shown):
    """Some invoices and credit notes, and the cursor of the next ones."""

    data: list[Invoice]
    next: str | None


class InvoiceResult(Shown):
    """What became of one tenant's month. `reason`: why there is no invoice."""

    tenant: str
    status: Literal["issued", "already_issued", "nothing_to_charge", "tenant_deleted", "not_issued"]
    reason: str | None
    invoice: Invoice | None


class InvoiceResults(Shown):
    """By tenant; `next` is where to go on."""

    data: list[InvoiceResult]
    next: str | None


class InvoiceDocument(Shown):
    """What was issued; docs/invoices.md has the members of its kinds."""

    number: str
    kind: Literal["invoice", "credit_note"]
    tenant: str
    month: str
    issued_at: Time
    currency: str
    total: str


@routes.serve("POST", "/invoices", "platform.invoices.write", InvoiceResults)
def issue_invoices(call: Called, body: NewInvoices) -> Response:
    """Bills a month that is over and stored: once for each tenant, however often it is asked."""
    with _refusals():
        drafts, following = drafts_of(call, month_of(body.month), body.tenant, body.after)
        answer = call.once(lambda unit: _issue(unit, call, drafts, following), tenant=body.tenant)
    _tell(call)
    return answer


@routes.serve("POST", "/invoices/{number}/credit-note", "platform.invoices.write", Invoice, status=201)
def issue_credit_note(call: Called, number: str, body: NewCreditNote) -> Response:
    """Takes an invoice back as a whole; then the month can be billed anew, under a new number."""

    def make(unit: Unit) -> Done:
        of = _found(unit, number, None)
        if of.kind != "invoice":
            raise conflict("exists", f"{of.number} is a credit note itself")
        if made := credit_notes_of(unit, [of.seq]):
            raise conflict("exists", f"{of.number} was taken back by {made[of.seq]}")
        (said,) = _shown(unit, [credit(unit, call, of, body.reason)])
        return shown(said, status=201, location=f"/admin/v1/invoices/{said.number}")

    with _refusals():
        answer = call.once(make, tenant=None)
    _tell(call)
    return answer


@routes.serve("POST", "/lost-invoices", "platform.invoices.write", LostInvoices, status=201)
def accept_lost_invoices(call: Called, body: NewLostInvoices) -> Response:
    """Says that what this host has seen issued, and the database lacks, is lost: another prefix has to be set."""

    def make(unit: Unit) -> Done:
        seen = call.tools.seen_invoices.missing(unit)
        if seen is None:
            raise conflict("exists", "the database has the last invoice that this host has seen")
        if seen.prefix == call.declared.billing.prefix:
            raise conflict("invoices_went_back", f"set another billing.prefix first: {seen.number} was given")
        call.tools.seen_invoices.accept(unit, seen, body.reason)
        return shown(LostInvoices(last=seen.number, sha256=seen.sha256, reason=body.reason), status=201)

    with _refusals():
        return call.once(make, tenant=None)


@routes.serve("GET", "/invoices", "platform.invoices.read", InvoiceList, fails=(400,))
def read_invoices(
    call: Called,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    tenant: str | None = None,
    month: MonthName | None = None,
) -> Response:
    """The newest first, those of deleted tenants too."""
    with call.read() as reader:
        return _listed(reader, list_issued(reader, Wish(limit, after), of=tenant, month=month))


@routes.serve("GET", "/tenants/{tenant}/invoices", "invoices.read", InvoiceList, fails=(400,))
def read_tenant_invoices(
    call: Called,
    tenant: str,
    limit: Limit = MOST_ON_A_PAGE,
    after: After = None,
    month: MonthName | None = None,
) -> Response:
    """A tenant's own, the newest first."""
    with call.read() as reader:
        tenant_of(call, reader)
        return _listed(reader, list_issued(reader, Wish(limit, after), customer=tenant, month=month))


@routes.serve("GET", "/invoices/{number}.html", "platform.invoices.read", None, more=_HTML)
def read_invoice_page(call: Called, number: str) -> Response:
    """One file, to be saved and printed."""
    return _page(call, number, None)


@routes.serve("GET", "/invoices/{number}", "platform.invoices.read", InvoiceDocument)
def read_invoice(call: Called, number: str) -> Response:
    """As it was issued, byte by byte."""
    return _document(call, number, None)


@routes.serve("GET", "/tenants/{tenant}/invoices/{number}.html", "invoices.read", None, more=_HTML)
def read_tenant_invoice_page(call: Called, tenant: str, number: str) -> Response:
    """One file, to be saved and printed."""
    return _page(call, number, tenant)


@routes.serve("GET", "/tenants/{tenant}/invoices/{number}", "invoices.read", InvoiceDocument)
def read_tenant_invoice(call: Called, tenant: str, number: str) -> Response:
    """As it was issued, byte by byte."""
    return _document(call, number, tenant)


def _issue(unit: Unit, call: Call, drafts: list[Draft], following: str | None) -> Done:
    results = [issue(unit, call, draft) for draft in drafts]
    said = {one.number: one for one in _shown(unit, [result.issued for result in results if result.issued])}
    data = [
        InvoiceResult(
            tenant=result.tenant,
            status=result.status,
            reason=result.reason,
            invoice=said[result.issued.number] if result.issued else None,
        )
        for result in results
    ]
    return shown(InvoiceResults(data=data, next=following))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except MonthNotOver as waits:
        raise conflict("month_not_over", str(waits)) from None
    except UsageIncomplete as waits:
        raise conflict("usage_incomplete", str(waits)) from None
    except UsageWentBack as lost:
        raise conflict("usage_store_went_back", str(lost)) from None
    except UnknownGateways as others:
        raise conflict("unknown_gateways", str(others)) from None
    except InvoicesWentBack as lost:
        raise conflict("invoices_went_back", str(lost)) from None
    except UsageError as error:
        raise Problem(503, "usage_away", str(error), headers={"retry-after": "5"}) from None


def _tell(call: Call) -> None:
    """The ledger, of what its receiver is to hear; and this host's own file."""
    call.tools.hand_over()
    try:
        call.tools.seen_invoices.note(call.store)
    except (OSError, StoreError) as error:  # what is issued is; control comes back to it
        log.warning("the last invoice can't be noted", error=str(error))


def _found(reader: Reader, number: str, tenant: str | None) -> Issued:
    issued = find_number(reader, number, tenant)
    if issued is None:
        raise not_found("invoice")
    return issued


def _texts(call: Call, number: str, tenant: str | None) -> tuple[Issued, Texts]:
    with call.read() as reader:
        if tenant is not None:
            tenant_of(call, reader)
        issued = _found(reader, number, tenant)
        return issued, texts_of(reader, issued)


def _document(call: Call, number: str, tenant: str | None) -> Response:
    issued, texts = _texts(call, number, tenant)
    headers = {"etag": f'"{issued.document_digest.hex()}"'}
    return Response(texts.document, headers=headers, media_type="application/json")


def _page(call: Call, number: str, tenant: str | None) -> Response:
    issued, texts = _texts(call, number, tenant)
    headers = {
        "etag": f'"{issued.page_digest.hex()}"',
        "content-disposition": f'attachment; filename="{issued.number}.html"',
    }
    return Response(texts.page, headers=headers, media_type="text/html")


def _listed(reader: Reader, page: Page[Issued]) -> Response:
    return shown(InvoiceList(data=_shown(reader, page.items), next=page.next)).response()


def _shown(reader: Reader, rows: Any) -> list[Invoice]:
    corrected = numbers_of(reader, {row.corrects for row in rows if row.corrects is not None})
    notes = credit_notes_of(reader, {row.seq for row in rows})
    return [
        Invoice(
            number=row.number,
            kind=row.kind,
            tenant=row.customer,
            month=row.month,
            issued_at=text_of(row.issued_at),
            currency=CURRENCY,
            total=cents_text(row.total_cents),
            corrects=corrected.get(row.corrects),
            corrected_by=notes.get(row.seq),
            tenant_deleted_at=text_of(row.detached_at) if row.detached_at else None,
            sha256=row.document_digest.hex(),
            page_sha256=row.page_digest.hex(),
        )
        for row in rows
    ]
