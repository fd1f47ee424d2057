"""Credits over the admin API: who books and who reads, what is refused, and what is left."""

import asyncio
import datetime as dt
import json
from typing import Any

import pytest
from admin import DECLARED, Caller, api
from msgspec.structs import replace
from rows import write_tenant

from control.deletion import SYSTEM, DatabaseHolding, Deletions
from control.store.audit_log import verify_log
from control.store.erasure import start_deletion
from control.store.store import Store
from headgate.declared import DeclaredTenant
from headgate.usage_client import UsageAway
from tests.control.usage_of_rows import JUST_NOW, asked_of, row

TODAY = dt.datetime.now(dt.UTC).date()
SOON = (TODAY + dt.timedelta(days=30)).isoformat()
NOW = dt.datetime.now(dt.UTC).isoformat()
PATH = "/tenants/acme/credits"
PAID = {"kind": "prepaid", "amount": "100"}


@pytest.fixture
def admin(store: Store) -> Caller:
    for name in ("acme", "other"):
        write_tenant(store, name)
    rows = [
        row("acme", NOW, price_nano=30_000_000_001),
        row("acme", "2026-01-01T00:00:00Z", price_nano=10**15),  # before there was an account
        row("other", NOW, price_nano=10**15),
    ]
    return Caller(api(store, ask_usage=asked_of(rows)))


async def booked(caller: Caller, path: str = PATH, **said: Any) -> dict[str, Any]:
    answer = await caller.post(path, PAID | said)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_is_booked_is_listed_and_counted(admin: Caller, store: Store) -> None:
    first = await booked(admin, note="order 7")
    granted = await booked(admin, kind="granted", amount=12.5, expires_on=SOON)
    taken = await booked(admin, kind="adjustment", amount="-0.000000001", note="a mistake")
    assert first | {"id": "", "created_at": ""} == {
        "id": "",
        "tenant": "acme",
        "kind": "prepaid",
        "amount": "100.00",
        "currency": "USD",
        "expires_on": None,
        "note": "order 7",
        "of": None,
        "created_at": "",
        "created_by": "key:key_somebody",
        "tenant_deleted_at": None,
    }
    assert (granted["amount"], granted["expires_on"], taken["amount"]) == ("12.50", SOON, "-0.000000001")
    for path in (f"{PATH}/entries", "/credits?tenant=acme", "/credits"):
        assert await admin.all(path, 1) == [taken, granted, first]
    account = (await admin.get(PATH)).json()
    assert account == {
        "tenant": "acme",
        "currency": "USD",
        "since": TODAY.isoformat(),
        "booked": "112.499999999",
        "used": "30.000000001",
        "ended": "0.00",
        "left": "82.499999998",
        "usage_until": dt.datetime.fromtimestamp(JUST_NOW / 1000, dt.UTC).isoformat(timespec="milliseconds")[:-6]
        + "Z",
        "entries": [
            {
                "id": first["id"],
                "kind": "prepaid",
                "amount": "100.00",
                "left": "82.499999998",
                "expires_on": None,
                "has_ended": False,
            }
        ],
    }
    actions = [one["action"] for one in (await admin.get("/audit?tenant=acme")).json()["data"]]
    assert actions[:3] == ["credits.book"] * 3
    with store.read() as reader:
        assert verify_log(reader).bad is None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"amount": "0"}, "amount"),
    ({"amount": 0}, "amount"),
    ({"amount": "-5"}, "amount"),
    ({"kind": "adjustment", "note": " "}, "note"),
    ({"amount": "-5", "kind": "granted"}, "amount"),
    ({"amount": "0.0000000001"}, "amount"),
    ({"amount": 0.0000000001}, "amount"),
    ({"amount": "1000000.01"}, "amount"),
    ({"amount": 10**30}, "amount"),
    ({"amount": "1e3"}, "amount"),
    ({"amount": " 1"}, "amount"),
    ({"amount": "\uff11"}, "amount"),
    ({"amount": "--1"}, "amount"),
    ({"amount": True}, "amount"),
    ({"amount": None}, "amount"),
    ({"kind": "expired"}, "kind"),
    ({"kind": "gift"}, "kind"),
    ({"expires_on": (TODAY - dt.timedelta(days=2)).isoformat()}, "expires_on"),
    ({"expires_on": (TODAY + dt.timedelta(days=3652)).isoformat()}, "expires_on"),
    ({"expires_on": "2027-02-29"}, "expires_on"),
    ({"expires_on": "2027-01-31T00:00:00Z"}, "expires_on"),
    ({"kind": "adjustment", "note": "x", "expires_on": SOON}, "expires_on"),
    ({"kind": "adjustment"}, "note"),
    ({"note": ""}, "note"),
    ({"note": "a\nb"}, "note"),
    ({"note": "x" * 257}, "note"),
    ({"tenant": "other"}, "tenant"),
]


@pytest.mark.parametrize(("said", "at"), WRONG)
async def test_what_can_not_be_booked(admin: Caller, said: dict[str, Any], at: str) -> None:
    answer = await admin.post(PATH, PAID | said)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert at in [error["at"] for error in answer.json()["errors"]]
    assert (await admin.get(PATH)).json()["since"] is None


async def test_it_may_be_used_up_to_today(admin: Caller) -> None:
    assert (await booked(admin, expires_on=TODAY.isoformat()))["expires_on"] == TODAY.isoformat()
    account = (await admin.get(PATH)).json()
    assert (account["ended"], account["left"]) == ("0.00", "69.999999999")
    assert [(entry["left"], entry["has_ended"]) for entry in account["entries"]] == [("69.999999999", False)]


async def test_an_account_holds_no_more_than_the_counters_count(admin: Caller) -> None:
    for _ in range(9):
        await booked(admin, amount=1_000_000)
    refused = await admin.post(PATH, PAID | {"amount": "10000"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many")
    await booked(admin, amount="7000")
    assert (await admin.get(PATH)).json()["booked"] == "9007000.00"


async def test_only_the_platform_books_and_a_tenant_sees_its_own(admin: Caller) -> None:
    mine = await booked(admin)
    theirs = await booked(admin, "/tenants/other/credits", note="theirs")
    for role, may_read in (("owner", True), ("analyst", True), ("developer", False), ("read-only", False)):
        caller = Caller(admin.app, tenant="acme", role=role)
        assert (await caller.post(PATH, PAID)).status_code == 403
        read = await caller.get(PATH)
        listed = await caller.get(f"{PATH}/entries")
        assert (read.status_code, listed.status_code) == ((200, 200) if may_read else (403, 403))
        if may_read:
            assert listed.json()["data"] == [mine]
            assert theirs["id"] not in read.text
        for path in ("/credits", "/credits?tenant=acme", "/tenants/other/credits", "/tenants/other/credits/entries"):
            assert (await caller.get(path)).status_code == 403
    nobody = await admin.get("/tenants/nobody/credits")
    assert (nobody.status_code, (await admin.post("/tenants/nobody/credits", PAID)).status_code) == (404, 404)


async def test_a_tenant_of_the_file_has_an_account_too(store: Store) -> None:
    declared = replace(DECLARED, tenants={"filed": DeclaredTenant(models=["chat"])})
    admin = Caller(api(store, declared, ask_usage=asked_of([row("filed", NOW, price_nano=10**9)])))
    assert (await admin.get("/tenants/filed/credits")).json()["since"] is None
    await booked(admin, "/tenants/filed/credits", amount="3")
    assert (await admin.get("/tenants/filed/credits")).json()["left"] == "2.00"


async def test_asked_twice_under_one_key_it_is_booked_once(admin: Caller) -> None:
    first, again = [await admin.post(PATH, PAID, Idempotency_Key="once") for _ in range(2)]
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await admin.post(PATH, PAID | {"amount": "5"}, Idempotency_Key="once")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await admin.all(f"{PATH}/entries")) == 1


async def test_several_at_once_are_all_booked(admin: Caller) -> None:
    await asyncio.gather(*(booked(admin, amount=str(number)) for number in range(1, 9)))
    assert (await admin.get(PATH)).json()["booked"] == "36.00"


async def test_without_the_usage_store_nothing_is_said_of_what_is_left(store: Store, admin: Caller) -> None:
    await booked(admin)

    def away(_: Any) -> Any:
        raise UsageAway("the usage store does not answer")

    caller = Caller(api(store, ask_usage=away))
    refused = await caller.get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (503, "usage_away")
    assert len(await caller.all(f"{PATH}/entries")) == 1
    await booked(caller, amount="1")


async def test_more_may_be_used_than_there_is(store: Store) -> None:
    write_tenant(store)
    admin = Caller(api(store, ask_usage=asked_of([row("acme", NOW, price_nano=3 * 10**9)])))
    await booked(admin, amount="1")
    account = (await admin.get(PATH)).json()
    assert (account["left"], account["entries"]) == ("-2.00", [])


async def test_nothing_is_booked_for_a_tenant_that_is_being_deleted(store: Store, admin: Caller) -> None:
    with store.write(SYSTEM) as unit:
        start_deletion(unit, "acme")
    refused = await admin.post(PATH, PAID)
    assert (refused.status_code, refused.json()["code"]) == (409, "tenant_deleting")


async def test_a_deleted_tenants_entries_are_the_platforms_alone(store: Store, admin: Caller) -> None:
    kept = await booked(admin, note="an order")
    with store.write(SYSTEM) as unit:
        start_deletion(unit, "acme")
    assert Deletions(store, [DatabaseHolding(store)]).work() == 0
    (entry,) = await admin.all("/credits?tenant=acme")
    assert (entry["id"], entry["tenant_deleted_at"] is None) == (kept["id"], False)
    write_tenant(store)
    owner = Caller(admin.app, tenant="acme", role="owner")
    assert (await owner.get(PATH)).json()["since"] is None
    assert (await owner.get(f"{PATH}/entries")).json()["data"] == []
    assert kept["id"] not in json.dumps((await owner.get(PATH)).json())
