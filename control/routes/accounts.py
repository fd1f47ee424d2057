"""`/tenants/{tenant}/credits`: what is booked for a tenant, and what is left of it; `/credits`: of all tenants."""

import datetime as dt
from typing import Literal

from starlette.responses import Response

from control.call import Called, Done, shown
from control.credits.balance import MOST_ENTRIES, MOST_NANO, Balance, balance_of
from control.credits.booking import book
from control.credits.days import date_of, day_of_moment, number_of
from control.credits.fields import Amount, Date, Day, Note
from control.credits.pools import last_day_of
from control.fields import UNSAID, Body, Shown, Time
from control.found_tenant import changeable_tenant, tenant_of
from control.invoices.amounts import nano_text
from control.invoices.document import CURRENCY
from control.lists import MOST_ON_A_PAGE, After, Limit
from control.masking import text_of
from control.problems import Finding, Problem, conflict, invalid
from control.routing import Routes
from control.store.credits import CreditEntry, Kind, entries_of, ids_of, list_entries
from control.store.paging import Page, Wish
from control.store.unit import Reader, Unit
from headgate.limits import NANO
from headgate.usage_client import UsageError

routes = Routes("credits")
LATEST = 3650  # days until an entry's end: the usage store keeps sums by day for 4,000
_PATH = "/tenants/{tenant}/credits"


class NewEntry(Body):
    """`expires_on` is the last day, of UTC, that it can be used on: not of an adjustment, which needs a `note`."""

    kind: Literal["prepaid", "granted", "adjustment"]
    amount: Amount
    expires_on: Date | None = None
    note: Note = UNSAID


class Entry(Shown):
    """What was booked. Amounts are text; `of` is the entry whose rest has `expired`."""

    id: str
    tenant: str
    kind: Kind
    amount: str
    currency: str
    expires_on: Day | None
    note: str | None
    of: str | None
    created_at: Time
    created_by: str
    tenant_deleted_at: Time | None


class EntryList(Shown):
    """Some entries, the newest first, and the cursor of the next ones."""

    data: list[Entry]
    next: str | None


class Left(Shown):
    """What is left of one entry. `has_ended`: that can't be used any more, and is booked as expired soon."""

    id: str
    kind: Kind
    amount: str
    left: str
    expires_on: Day | None
    has_ended: bool


class Account(Shown):
    """`left` is `booked` less `used` and `ended`, and below 0 where more was used. `since` null: there is no account.

    `entries` are those of which something is left, in the order in which they are used. `usage_until`: what ended
    before is in `used`, as the usage store of this host knows; null where nothing is known to be.
    """

    tenant: str
    currency: str
    since: Day | None
    booked: str
    used: str
    ended: str
    left: str
    usage_until: Time | None
    entries: list[Left]


@routes.serve("POST", _PATH, "credits.write", Entry, status=201)
def book_credits(call: Called, tenant: str, body: NewEntry) -> Response:
    """Books an entry, for good: what was wrong is put right by an adjustment."""
    _check_kind(body)

    def make(unit: Unit) -> Done:
        changeable_tenant(call, unit)
        entries = entries_of(unit, tenant)
        _check_day(body.expires_on, last_day_of(entries, day_of_moment(unit.now)))
        _check_room(entries, body.amount)
        entry = CreditEntry(
            customer=tenant,
            kind=body.kind,
            amount_nano=body.amount,
            expires_on=body.expires_on,
            note=body.note or "",
            created_by=call.creator,
        )
        (said,) = _shown(unit, (book(unit, entry),))
        return shown(said, status=201, location=f"/admin/v1/tenants/{tenant}/credits/entries")

    return call.once(make, tenant=tenant)


@routes.serve("GET", _PATH, "credits.read", Account)
def read_credits(call: Called, tenant: str) -> Response:
    """What is left, as far as the usage store knows what was used."""
    with call.read() as reader:
        tenant_of(call, reader)
        entries = entries_of(reader, tenant)
    try:
        balance = balance_of(call.tools.ask_usage, tenant, entries, dt.datetime.now(dt.UTC))
    except UsageError as error:
        raise Problem(503, "usage_away", str(error), headers={"retry-after": "5"}) from None
    return shown(_account(tenant, balance)).response()


@routes.serve("GET", f"{_PATH}/entries", "credits.read", EntryList, fails=(400,))
def read_entries(call: Called, tenant: str, limit: Limit = MOST_ON_A_PAGE, after: After = None) -> Response:
    """A tenant's own, the newest first."""
    with call.read() as reader:
        tenant_of(call, reader)
        return _listed(reader, list_entries(reader, Wish(limit, after), customer=tenant))


@routes.serve("GET", "/credits", "platform.credits.read", EntryList, fails=(400,))
def read_all_entries(
    call: Called, limit: Limit = MOST_ON_A_PAGE, after: After = None, tenant: str | None = None
) -> Response:
    """The newest first, those of deleted tenants too."""
    with call.read() as reader:
        return _listed(reader, list_entries(reader, Wish(limit, after), of=tenant))


def _check_kind(body: NewEntry) -> None:
    errors = []
    if body.kind == "adjustment":
        if body.expires_on is not None:
            errors.append(Finding(at="expires_on", expected="none for an adjustment, which does not end"))
        if not (body.note or "").strip():
            errors.append(Finding(at="note", expected="why there is an adjustment"))
    elif body.amount < 0:
        errors.append(Finding(at="amount", expected="more than 0: only an adjustment takes away"))
    if errors:
        raise invalid(*errors)


def _check_day(expires_on: dt.date | None, today: int) -> None:
    if expires_on is None:
        return
    away = number_of(expires_on) - today
    if not 0 <= away <= LATEST:
        expected = f"a day from {date_of(today).isoformat()}, today in UTC, to {LATEST} days later"
        raise invalid(Finding(at="expires_on", expected=expected, found=expires_on.isoformat()))


def _check_room(entries: tuple[CreditEntry, ...], amount: int) -> None:
    if len(entries) >= MOST_ENTRIES:
        raise conflict("too_many", f"an account has at most {MOST_ENTRIES} entries")
    if abs(sum(entry.amount_nano for entry in entries) + amount) > MOST_NANO:
        most = MOST_NANO // NANO
        raise conflict("too_many", f"an account holds at most {most} US dollars, all that was ever booked together")


def _account(tenant: str, balance: Balance) -> Account:
    return Account(
        tenant=tenant,
        currency=CURRENCY,
        since=balance.since.isoformat() if balance.since else None,
        booked=nano_text(balance.booked),
        used=nano_text(balance.used),
        ended=nano_text(balance.ended),
        left=nano_text(balance.left),
        usage_until=text_of(balance.usage_until) if balance.usage_until else None,
        entries=[
            Left(
                id=pool.entry.id,
                kind=pool.entry.kind,
                amount=nano_text(pool.entry.amount_nano),
                left=nano_text(pool.left),
                expires_on=pool.entry.expires_on.isoformat() if pool.entry.expires_on else None,
                has_ended=pool.closed,
            )
            for pool in balance.pools
            if pool.entry and pool.left
        ],
    )


def _listed(reader: Reader, page: Page[CreditEntry]) -> Response:
    return shown(EntryList(data=_shown(reader, page.items), next=page.next)).response()


def _shown(reader: Reader, entries: tuple[CreditEntry, ...]) -> list[Entry]:
    ids = ids_of(reader, entries)
    return [
        Entry(
            id=entry.id,
            tenant=entry.customer,
            kind=entry.kind,
            amount=nano_text(entry.amount_nano),
            currency=CURRENCY,
            expires_on=entry.expires_on.isoformat() if entry.expires_on else None,
            note=entry.note or None,
            of=ids[entry.ended] if entry.ended is not None else None,
            created_at=text_of(entry.created_at),
            created_by=entry.created_by,
            tenant_deleted_at=text_of(entry.detached_at) if entry.detached_at else None,
        )
        for entry in entries
    ]
