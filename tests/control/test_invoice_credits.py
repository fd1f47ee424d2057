"""What an invoice says of a tenant's credits, and that nothing is paid for twice."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from admin import DECLARED, Caller, api
from msgspec.structs import replace
from rows import ADMIN, write_tenant

from control.credits.booking import book
from control.store.credits import CreditEntry, entries_of
from control.store.store import Store
from headgate.declared import DeclaredTenant
from ledger.rows import Row
from tests.control.usage_of_rows import asked_of, row

USD = 10**9
OCTOBER = {"month": "2026-10", "tenant": "acme"}
NOVEMBER_ROWS = (row("acme", "2026-11-05T00:00:00Z", price_nano=4 * USD),)
ROWS = (
    row("acme", "2026-10-01T12:00:00Z", price_nano=2 * USD),  # before there was an account
    row("acme", "2026-10-05T00:00:00Z", price_nano=12 * USD + 1),
    row("acme", "2026-10-20T00:00:00Z", model="big", price_nano=5 * USD),
    row("other", "2026-10-05T00:00:00Z", price_nano=7 * USD),
)


def booked(store: Store, amount: int, day: str = "2026-10-04", kind: Any = "prepaid", **more: Any) -> None:
    """On that day, by a clock of the test's."""
    at = dt.datetime.fromisoformat(f"{day}T09:00:00+00:00")
    with Store(store.engine, clock=lambda: at).write(ADMIN) as unit:
        book(unit, CreditEntry(customer="acme", kind=kind, amount_nano=amount, created_by="x", **more))


def admin_of(store: Store, rows: Sequence[Row] = ROWS) -> Caller:
    return Caller(api(store, ask_usage=asked_of(rows)))


@pytest.fixture
def acme(store: Store) -> Store:
    write_tenant(store)
    return store


async def issued(admin: Caller, **said: str) -> Any:
    answer = await admin.post("/invoices", OCTOBER | said)
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["data"]
    assert result["status"] == "issued", result
    return (await admin.get(f"/invoices/{result['invoice']['number']}")).json()


def entries(store: Store) -> list[tuple[str, int]]:
    with store.read() as reader:
        return [(one.kind, one.amount_nano) for one in entries_of(reader, "acme")]


async def test_what_credits_have_paid_for_is_not_to_be_paid(acme: Store) -> None:
    booked(acme, 30 * USD)
    booked(acme, 4 * USD, kind="granted", expires_on=dt.date(2026, 10, 15))
    booked(acme, 9 * USD, "2026-11-02")
    admin = admin_of(acme)
    said = await issued(admin)
    assert said["credits"] == {
        "opening": "0.00",
        "booked": "34.00",
        "used": "17.000000001",
        "expired": "0.00",
        "closing": "16.999999999",
        "covered": "17.000000001",
        "uncovered": "0.00",
    }
    assert (said["subtotal"], said["total"]) == ("2.00", "2.00")
    lines = sum(Decimal(line["amount"]) for line in said["lines"])
    assert lines - Decimal(said["credits"]["covered"]) == Decimal(said["subtotal"])
    page = (await admin.get(f"/invoices/{said['number']}.html")).text
    assert "Credits have paid for 17.000000001 USD" in page
    other = await admin.post("/invoices", {"month": "2026-10"})
    number = next(one["invoice"]["number"] for one in other.json()["data"] if one["tenant"] == "other")
    assert (await admin.get(f"/invoices/{number}")).json()["credits"] is None


async def test_a_month_that_credits_paid_for_as_a_whole_has_an_invoice_over_nothing(acme: Store) -> None:
    booked(acme, 100 * USD, "2026-09-04")
    said = await issued(admin_of(acme))
    assert (said["total"], said["credits"]["opening"], said["credits"]["closing"]) == (
        "0.00",
        "100.00",
        "80.999999999",
    )


async def test_what_has_ended_is_booked_before_and_the_next_month_goes_on(acme: Store) -> None:
    booked(acme, 30 * USD, expires_on=dt.date(2026, 10, 10))
    admin = admin_of(acme, (*ROWS, *NOVEMBER_ROWS))
    said = await issued(admin)
    assert said["credits"] == {
        "opening": "0.00",
        "booked": "30.00",
        "used": "17.000000001",
        "expired": "-17.999999999",
        "closing": "-5.00",
        "covered": "12.000000001",
        "uncovered": "5.00",
    }
    assert said["total"] == "7.00", "two before there was an account, five after it was empty"
    # What the invoice bills is no debt of the account any more.
    assert entries(acme) == [("prepaid", 30 * USD), ("expired", -18 * USD + 1), ("adjustment", 5 * USD)]
    account = (await admin.get("/tenants/acme/credits")).json()
    assert (account["left"], account["ended"]) == ("-4.00", "0.00")
    assert account["usage_until"]


async def test_an_invoice_that_is_taken_back_takes_its_adjustment_back(acme: Store) -> None:
    booked(acme, 10 * USD)
    admin = admin_of(acme)
    first = await issued(admin)
    assert (first["total"], first["credits"]["uncovered"]) == ("9.00", "7.000000001")
    note = await admin.post(f"/invoices/{first['number']}/credit-note", {"reason": "a test"})
    assert note.json()["total"] == "-9.00"
    assert entries(acme)[1:] == [("adjustment", 7 * USD + 1), ("adjustment", -7 * USD - 1)]
    again = await issued(admin)
    of_the_day = dict.fromkeys(("number", "issued_at", "due_on"))
    assert again | of_the_day == first | of_the_day
    notes = [one["note"] for one in await admin.all("/tenants/acme/credits/entries")]
    assert notes == [
        f"paid for by {again['number']}",
        f"{first['number']} was taken back by {note.json()['number']}",
        f"paid for by {first['number']}",
        None,
    ]


async def test_an_account_that_began_later_is_on_no_invoice_before(acme: Store) -> None:
    booked(acme, 10 * USD, "2026-11-01")
    said = await issued(admin_of(acme))
    assert (said["credits"], said["total"]) == (None, "19.00")


async def test_without_an_account_nothing_is_said(acme: Store) -> None:
    assert (await issued(admin_of(acme)))["credits"] is None


async def test_overage_is_not_paid_by_credits(store: Store) -> None:
    limits = {"daily_requests": {"limit": 1, "overage": {"ceiling": 9, "price": "1000"}}}
    declared = replace(DECLARED, tenants={"acme": DeclaredTenant(models=["chat"], limits=limits)})
    booked(store, 100 * USD)
    rows = [row("acme", f"2026-10-05T0{hour}:00:00Z", price_nano=USD) for hour in range(3)]
    said = await issued(Caller(api(store, declared, ask_usage=asked_of(rows))))
    assert (said["total"], said["credits"]["covered"]) == ("2.00", "3.00")
