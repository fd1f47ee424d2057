"""Invoices over the admin API: what a month costs, once, under a number without a gap, and as it was issued."""

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from admin import DECLARED, Caller, api, named
from msgspec.structs import replace
from rows import write_tenant

from control.deletion import SYSTEM, DatabaseHolding, Deletions
from control.invoices.months import month_before
from control.store.audit_log import verify_log
from control.store.erasure import start_deletion
from control.store.events import waiting_events
from control.store.hosts import note_host, note_usage
from control.store.store import Store
from control.store.values import Host
from headgate.declared import Declared, DeclaredBilling, DeclaredTenant
from headgate.usage_client import UsageAway
from ledger.rows import Row
from tests.control.usage_of_rows import asked_of, row

BILLING = DeclaredBilling("Gate & Co", ["Street 1"], "Pay soon.", 14, "HG-")
BILLED = replace(DECLARED, billing=BILLING, has_receiver=True)
OCTOBER = {"month": "2026-10"}
COMPLETE = dt.datetime(2026, 11, 2, 1, tzinfo=dt.UTC)
ROWS = (
    row("acme", prompt_tokens=100, cached_tokens=40, completion_tokens=7, reasoning_tokens=2, price_nano=1_234_567),
    row("acme", prompt_tokens=1, completion_tokens=1, price_nano=1, estimated=True),
    row(
        "acme",
        "2026-10-01T00:00:00Z",
        model="images",
        surface="images",
        unit="image",
        units=3,
        price_nano=120_000_000,
    ),
    row("acme", "2026-11-01T00:00:00Z", price_nano=999_000_000_000),
    row("acme", "2026-09-30T23:59:59.999Z", price_nano=999_000_000_000),
    row("acme", model="nowhere", requests=0, status=404),
    row("other", price_nano=5_000_000_000),
    row("free", prompt_tokens=9),
    row("", requests=0, status=401),
)


def admin_of(store: Store, rows: Sequence[Row] = ROWS, declared: Declared = BILLED, **more: Any) -> Caller:
    return Caller(api(store, declared, **{"ask_usage": asked_of(rows)} | more))


async def created(admin: Caller, **said: str) -> dict[str, Any]:
    answer = await admin.post("/invoices", OCTOBER | said)
    assert answer.status_code == 200, answer.text
    return {one["tenant"]: one for one in answer.json()["data"]}


async def document(admin: Caller, number: str) -> Any:
    answer = await admin.get(f"/invoices/{number}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_month_is_billed_by_tenant_once(store: Store) -> None:
    write_tenant(store, "acme", display_name="Acme Inc.")
    admin = admin_of(store)
    first = await created(admin)
    assert {name: one["status"] for name, one in first.items()} == {
        "acme": "issued",
        "free": "nothing_to_charge",
        "other": "issued",
    }
    said = await document(admin, "HG-000001")
    assert (said["tenant"], said["tenant_name"], said["total"]) == ("acme", "Acme Inc.", "0.12")
    assert said["subtotal"] == "0.121234568"
    assert [(line["model"], line["amount"]) for line in said["lines"]] == [
        ("chat", "0.001234568"),
        ("images", "0.12"),
    ]
    assert said["lines"][0] | {"amount": None} == {
        "model": "chat",
        "surface": "chat",
        "unit": None,
        "requests": 2,
        "input_tokens": 101,
        "amount": None,
        "cached_tokens": 40,
        "cache_write_tokens": 0,
        "output_tokens": 8,
        "reasoning_tokens": 2,
        "units": 0,
        "estimated_requests": 1,
    }
    assert (said["lines"][1]["unit"], said["lines"][1]["units"]) == ("image", 3)
    assert said["period"] == {"start": "2026-10-01T00:00:00.000Z", "end": "2026-11-01T00:00:00.000Z"}
    assert (said["seller"]["name"], said["currency"]) == ("Gate & Co", "USD")
    issued = dt.datetime.fromisoformat(said["issued_at"])
    assert said["due_on"] == (issued + dt.timedelta(days=14)).date().isoformat()
    again = await created(admin)
    assert {name: one["status"] for name, one in again.items()} == {
        "acme": "already_issued",
        "free": "nothing_to_charge",
        "other": "already_issued",
    }
    assert again["acme"]["invoice"] == first["acme"]["invoice"]
    listed = await admin.all("/invoices", 1)
    assert [one["number"] for one in listed] == ["HG-000002", "HG-000001"]
    assert [one["number"] for one in await admin.all("/invoices?tenant=acme&month=2026-10")] == ["HG-000001"]
    with store.read() as reader:
        assert verify_log(reader).bad is None


async def test_what_is_shown_is_what_was_issued_byte_by_byte(store: Store) -> None:
    admin = admin_of(store)
    invoice = (await created(admin, tenant="acme"))["acme"]["invoice"]
    shown = await admin.get("/invoices/HG-000001")
    page = await admin.get("/invoices/HG-000001.html")
    assert sha256(shown.content).hexdigest() == invoice["sha256"]
    assert sha256(page.content).hexdigest() == invoice["page_sha256"]
    assert shown.headers["etag"] == f'"{invoice["sha256"]}"'
    assert page.headers["content-type"].startswith("text/html")
    later = admin_of(store, declared=replace(BILLED, billing=DeclaredBilling("Other", prefix="X-")))
    assert (await later.get("/invoices/HG-000001")).content == shown.content
    assert (await later.get("/invoices/HG-000001.html")).content == page.content
    entries = (await admin.get("/audit?action=invoice.issue")).json()["data"]
    assert [one["after"]["document_digest"] for one in entries] == [invoice["sha256"]]


async def test_the_same_usage_is_the_same_but_for_number_and_day(store: Store) -> None:
    admin = admin_of(store)
    await created(admin)
    await admin.post("/invoices/HG-000001/credit-note", {"reason": "a test"})
    await created(admin_of(store, tuple(reversed(ROWS))), tenant="acme")
    first, anew = await document(admin, "HG-000001"), await document(admin, "HG-000004")
    of_the_day = dict.fromkeys(("number", "issued_at", "due_on"))
    assert json.dumps(first | of_the_day) == json.dumps(anew | of_the_day)


async def test_a_month_that_is_not_over_is_not_billed(store: Store) -> None:
    now = dt.datetime.now(dt.UTC)
    answer = await admin_of(store).post("/invoices", {"month": f"{now:%Y-%m}"})
    assert (answer.status_code, answer.json()["code"]) == (409, "month_not_over")


NO_MONTHS = ["2026-13", "2026-1", "26-10", "2019-12", "\uff12026-10", "2026-10 ", 202610, None]


@pytest.mark.parametrize("month", NO_MONTHS)
async def test_what_is_no_month_is_refused(store: Store, month: Any) -> None:
    answer = await admin_of(store).post("/invoices", {"month": month})
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "month")
    assert answer.json()["errors"][0]["found"] is not None


async def test_a_store_that_is_behind_or_away(store: Store) -> None:
    behind = round(COMPLETE.timestamp() * 1000) - 1
    answer = await admin_of(store, ask_usage=asked_of(ROWS, behind)).post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (409, "usage_incomplete")
    assert "2026-11-02T00:59:59.999Z" in answer.json()["detail"]

    ahead = asked_of(ROWS, 4_102_444_800_000)
    answer = await admin_of(store, ask_usage=ahead).post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (409, "usage_incomplete")
    assert "2100-01-01T00:00:00.000Z, which is to come" in answer.json()["detail"]

    def away(_: Any) -> Any:
        raise UsageAway("the usage store does not answer")

    answer = await admin_of(store, ask_usage=away).post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (503, "usage_away")
    assert (await created(admin_of(store, ask_usage=asked_of(ROWS, behind + 1))))["acme"]["status"] == "issued"
    answer = await admin_of(store, ask_usage=away).post("/invoices", OCTOBER | {"tenant": "acme"})
    assert answer.json()["data"][0]["status"] == "already_issued", "it needs no store to know"


async def test_a_host_that_is_behind_is_waited_for(store: Store) -> None:
    shared = replace(BILLED, usage="clickhouse:8123/headgate")
    place = "at clickhouse:8123/headgate"
    to_come = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    with store.write_aside() as writer:
        for name in ("here", "there"):
            note_host(writer, Host(id=f"host_{name}", name=name))

    async def refused() -> str:
        answer = await admin_of(store, declared=shared).post("/invoices", OCTOBER)
        assert (answer.status_code, answer.json()["code"]) == (409, "usage_incomplete")
        return str(answer.json()["detail"])

    assert "host there (host_there" in await refused()
    with store.write_aside() as writer:
        note_usage(writer, "host_there", "host_there", COMPLETE, COMPLETE)
    assert "a usage store of its own" in await refused()
    with store.write_aside() as writer:
        note_usage(writer, "host_there", place, COMPLETE - dt.timedelta(milliseconds=1), COMPLETE)
    assert "stored up to 2026-11-02T00:59:59.999Z" in await refused()
    with store.write_aside() as writer:
        note_usage(writer, "host_there", place, to_come, to_come)
    assert "2100-01-01T00:00:00.000Z, which is to come" in await refused()
    with store.write_aside() as writer:
        note_usage(writer, "host_there", place, COMPLETE, COMPLETE)
    assert (await created(admin_of(store, declared=shared)))["acme"]["status"] == "issued"


async def test_a_credit_note_takes_an_invoice_back_as_a_whole(store: Store) -> None:
    admin = admin_of(store)
    await created(admin)
    note = await admin.post("/invoices/HG-000001/credit-note", {"reason": "<b>late</b> lines"})
    assert (note.status_code, note.json()["number"], note.json()["total"]) == (201, "HG-000003", "-0.12")
    assert note.json()["corrects"] == "HG-000001"
    for number in ("HG-000001", "HG-000003"):
        again = await admin.post(f"/invoices/{number}/credit-note", {"reason": "twice"})
        assert (again.status_code, again.json()["code"]) == (409, "exists")
    assert (await admin.post("/invoices/HG-000009/credit-note", {"reason": "none"})).status_code == 404
    said = await document(admin, "HG-000003")
    invoice = (await admin.get("/invoices?tenant=acme")).json()["data"][-1]
    assert said["corrects"] == {"number": "HG-000001", "issued_at": invoice["issued_at"], "sha256": invoice["sha256"]}
    assert invoice["corrected_by"] == "HG-000003"
    page = (await admin.get("/invoices/HG-000003.html")).text
    assert "&lt;b&gt;late&lt;/b&gt; lines" in page
    assert (await created(admin, tenant="acme"))["acme"]["invoice"]["number"] == "HG-000004"


async def test_two_at_the_same_time_take_one_number_each(store: Store) -> None:
    rows = [row(f"t{number}", price_nano=10_000_000) for number in range(12)]
    admin = admin_of(store, rows)
    answers = await asyncio.gather(*(created(admin) for _ in range(4)))
    issued = [one for answer in answers for one in answer.values() if one["status"] == "issued"]
    assert len(issued) == 12
    assert sorted(one["invoice"]["number"] for one in issued) == [f"HG-{number:06}" for number in range(1, 13)]
    for tenant in ("t0", "t11"):
        assert len({answer[tenant]["invoice"]["number"] for answer in answers}) == 1


async def test_many_tenants_come_in_parts(store: Store) -> None:
    rows = [row(f"t{number:03}", price_nano=10_000_000) for number in range(120)]
    admin = admin_of(store, rows)
    found: list[str] = []
    after: str | None = None
    while True:
        answer = (await admin.post("/invoices", OCTOBER | ({"after": after} if after else {}))).json()
        found += [one["tenant"] for one in answer["data"]]
        if (after := answer["next"]) is None:
            break
    assert found == [f"t{number:03}" for number in range(120)]
    assert len(await admin.all("/invoices")) == 120


async def test_an_idempotency_key_is_answered_alike(store: Store) -> None:
    admin = admin_of(store)
    first = await admin.post("/invoices", OCTOBER, Idempotency_Key="once")
    again = await admin.post("/invoices", OCTOBER, Idempotency_Key="once")
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_tenant_sees_its_own_and_nothing_else(store: Store) -> None:
    for name in ("acme", "other"):
        write_tenant(store, name)
    admin = admin_of(store)
    await created(admin)
    mine = await document(admin, "HG-000001")
    for role in ("owner", "analyst"):
        own = Caller(admin.app, tenant="acme", role=role)
        assert [one["number"] for one in await own.all("/tenants/acme/invoices")] == ["HG-000001"]
        assert (await own.get("/tenants/acme/invoices/HG-000001")).json() == mine
        assert (await own.get("/tenants/acme/invoices/HG-000001.html")).status_code == 200
        for path in ("/tenants/acme/invoices/HG-000002", "/tenants/acme/invoices/HG-000002.html"):
            assert (await own.get(path)).status_code == 404
        for path in ("/tenants/other/invoices", "/invoices", "/invoices/HG-000001"):
            assert (await own.get(path)).status_code == 403
    assert "other" not in json.dumps(mine)


async def test_names_are_text_whatever_stands_in_them(store: Store) -> None:
    hostile = "<script>alert(1)</script>\"'>{{ 7*7 }}&amp;\x00\x1b\u202e"
    name = named()
    write_tenant(store, name, display_name=hostile.replace("\x00", ""))
    rows = [row(name, model=hostile, surface=hostile, unit=hostile, units=1, price_nano=10**9)]
    declared = replace(BILLED, billing=DeclaredBilling(hostile, [hostile], hostile))
    admin = admin_of(store, rows, declared)
    invoice = (await created(admin))[name]["invoice"]
    page = (await admin.get(f"/invoices/{invoice['number']}.html")).text
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert "&amp;amp;" in page
    assert not {"\x00", "\x1b", "\u202e"} & set(page)
    assert "http" not in page.replace("http-equiv", "").lower()
    assert (await document(admin, invoice["number"]))["lines"][0]["model"] == hostile


async def test_what_was_billed_outlives_the_tenant_and_is_no_later_ones(store: Store) -> None:
    write_tenant(store, "acme")
    admin = admin_of(store)
    await created(admin)
    with store.write(SYSTEM) as unit:
        deletion = start_deletion(unit, "acme")
    assert (await created(admin_of(store), tenant="acme"))["acme"]["status"] == "already_issued"
    assert Deletions(store, [DatabaseHolding(store)]).work() == 0
    (kept,) = (await admin.get("/invoices?tenant=acme")).json()["data"]
    assert (kept["number"], kept["tenant_deleted_at"] is not None) == ("HG-000001", True)
    assert (await document(admin, "HG-000001"))["total"] == "0.12"
    with store.read() as reader:
        assert not [body for _, body in waiting_events(reader, 9) if '"acme"' in body]
    # The store has its usage under the deletion's id by now.
    left = row(deletion.id, price_nano=10**9)
    result = (await created(admin_of(store, [left])))[deletion.id]
    assert (result["status"], result["invoice"]) == ("tenant_deleted", None)
    write_tenant(store, "acme")
    later = Caller(admin.app, tenant="acme", role="owner")
    assert (await later.get("/tenants/acme/invoices")).json()["data"] == []
    assert (await later.get("/tenants/acme/invoices/HG-000001")).status_code == 404
    fresh = admin_of(store, [row("acme", price_nano=10**9)])
    assert (await created(fresh))["acme"]["status"] == "issued"
    note = await admin.post("/invoices/HG-000001/credit-note", {"reason": "settled otherwise"})
    assert note.status_code == 201
    assert [one["total"] for one in await later.all("/tenants/acme/invoices")] == ["1.00"]


async def test_a_tenant_that_is_being_deleted_or_is_none_is_not_billed(store: Store) -> None:
    with store.write(SYSTEM) as unit:
        start_deletion(unit, "acme")
    results = await created(admin_of(store))
    assert results["acme"]["status"] == "not_issued"
    assert "being deleted" in results["acme"]["reason"]
    assert (await created(admin_of(store), tenant="othr"))["othr"]["status"] == "not_issued"


LIMITED: dict[str, Any] = {
    "daily_requests": {"limit": 2, "overage": {"ceiling": 9, "price": "4"}},
    "monthly_tokens": {"limit": 100, "overage": {"ceiling": 900, "price": "3"}},
    "monthly_requests": {"limit": 1, "overage": {"ceiling": 900}},
    "anniversary": 15,
    "per": [{"by": ["key"], "daily_tokens": {"limit": 10, "overage": {"ceiling": 99, "price": "1"}}}],
}


async def test_overage_is_billed_by_the_limits_that_hold(store: Store) -> None:
    declared = replace(BILLED, tenants={"acme": DeclaredTenant(models=["chat"], limits=LIMITED)})
    rows = [
        *(row("acme", f"2026-10-03T0{hour}:00:00Z", prompt_tokens=1) for hour in range(5)),  # three above two
        row("acme", "2026-10-04T00:00:00Z", prompt_tokens=1, key_id="other"),
        row("acme", "2026-09-20T00:00:00Z", prompt_tokens=150),  # in the window that ends on 15 October
        row("acme", "2026-10-20T00:00:00Z", prompt_tokens=500, key_id="big"),  # in the one that does not
        row("someone", "2026-10-03T00:00:00Z", prompt_tokens=10**6),
    ]
    admin = admin_of(store, rows, declared)
    invoice = (await created(admin))["acme"]["invoice"]
    said = await document(admin, invoice["number"])
    found = {one["limit"]: (one["quantity"], one["amount"], one["windows"]) for one in said["overage"]}
    assert found == {
        "daily_requests": (3, "0.012", 1),
        "monthly_tokens": (56, "0.000168", 1),
        "daily_tokens": (490, "0.00049", 1),
    }
    assert said["total"] == "0.01"
    assert Decimal(said["subtotal"]) == Decimal("0.012658")
    assert "daily_requests" in (await admin.get(f"/invoices/{invoice['number']}.html")).text


async def test_what_a_receiver_is_told(store: Store) -> None:
    handed: list[int] = []
    admin = admin_of(store, hand_over=lambda: handed.append(1))
    invoice = (await created(admin, tenant="acme"))["acme"]["invoice"]
    with store.read() as reader:
        ((event_id, body),) = waiting_events(reader, 9)
    event = json.loads(body)
    assert (event["type"], event["data"]["tenant"], event["data"]["total"]) == ("invoice.issued", "acme", "0.12")
    assert event["data"]["sha256"] == invoice["sha256"]
    assert event_id.startswith("msg_")
    assert handed == [1]
    await created(admin_of(store, declared=replace(BILLED, has_receiver=False)))
    with store.read() as reader:
        assert len(waiting_events(reader, 9)) == 1


def test_the_month_before() -> None:
    assert month_before(dt.datetime(2027, 1, 1, tzinfo=dt.UTC)).name == "2026-12"
    assert month_before(dt.datetime(2026, 3, 31, 23, tzinfo=dt.UTC)).name == "2026-02"
