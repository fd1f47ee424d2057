"""No invoice of a usage store that has another database's usage, or less than it had, before somebody says so."""

import asyncio
import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from admin import DECLARED, Caller, api
from rows import ADMIN

from control.invoices.standing import note_mark
from control.store.hosts import note_host, remove_host
from control.store.store import Store
from control.store.usage_gateways import list_usage_gateways
from control.store.values import Host
from headgate.usage_questions import Mark, Marks, MarksAnswer
from ledger.store import writer
from ledger.store.questions import Questions
from tests.control.usage_of_rows import asked_of, marks_of, row
from tests.store.made_rows import NOVEMBER_MS, make_rows
from tests.store.place import GATEWAY, Place

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
OCTOBER = {"month": "2026-10"}
ROWS = (row("acme", price_nano=10**9),)


def mark(gateway: str = "here", run: int = 5, batch: int = 7, month: int = 202610) -> Mark:
    return Mark(gateway=gateway, run=run, month=month, batch=batch)


def admin_of(store: Store, stored: Sequence[Mark], **more: Any) -> Caller:
    return Caller(api(store, DECLARED, **{"ask_usage": asked_of(ROWS), "ask_marks": marks_of(stored)} | more))


async def said(admin: Caller, **more: Any) -> tuple[int, str]:
    answer = await admin.post("/invoices", OCTOBER | more)
    found = answer.json()
    return answer.status_code, found["code"] if answer.status_code != 200 else found["data"][0]["status"]


def note(
    store: Store, own: Mark | None, stored: Sequence[Mark], host: str = "host_here", place: str = "at x"
) -> None:
    gateway = own.gateway if own else "here"

    def ask(asked: Marks) -> MarksAnswer:
        return MarksAnswer(gateway=gateway, own=own, stored=list(stored) if asked.stored else [])

    note_mark(store, ask, host, place, NOW)


async def test_usage_of_a_gateway_that_nobody_knows_is_not_billed(store: Store) -> None:
    stored = [mark(), mark("other-1"), mark("other-2", month=202611)]
    admin = admin_of(store, stored)
    answer = await admin.post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_gateways")
    assert ": other-1; give" in answer.json()["detail"], "other-2 has nothing of that month"
    listed = (await admin.get("/usage-gateways")).json()["data"]
    assert [(one["id"], one["state"], one["months"]) for one in listed][1:] == [
        ("other-1", "unknown", ["2026-10"]),
        ("other-2", "unknown", ["2026-11"]),
    ]
    accepted = await admin.post("/usage-gateways/other-1/accept", {"reason": "it was ours: its disks are gone"})
    assert (accepted.status_code, accepted.json()["state"]) == (200, "known")
    assert await said(admin) == (200, "issued")
    (entry,) = (await admin.get("/audit?action=usage_gateway.accept")).json()["data"]
    assert (entry["object_id"], entry["after"]["reason"]) == ("other-1", "it was ours: its disks are gone")
    assert (await admin.post("/usage-gateways/nobody/accept", {"reason": "?"})).status_code == 404
    assert (await admin.post("/usage-gateways/other-2/accept", {})).status_code == 422


async def test_no_tenant_sees_or_accepts_gateways(store: Store) -> None:
    owner = Caller(admin_of(store, [mark("other")]).app, tenant="acme", role="owner")
    assert (await owner.get("/usage-gateways")).status_code == 403
    assert (await owner.post("/usage-gateways/other/accept", {"reason": "mine"})).status_code == 403


async def test_gateways_of_hosts_are_known_those_that_were_removed_too(store: Store) -> None:
    with store.write_aside() as writer_:
        note_host(writer_, Host(id="host_gone", name="gone"))
    stored = [mark(), mark("theirs")]
    note(store, mark("theirs"), stored, "host_gone")
    with store.write(ADMIN) as unit:
        remove_host(unit, "host_gone")
    assert await said(admin_of(store, stored)) == (200, "issued")


async def test_a_host_that_was_removed_with_its_own_store_is_not_waited_for(store: Store) -> None:
    with store.write_aside() as writer_:
        note_host(writer_, Host(id="host_gone", name="gone"))
    note(store, mark("theirs"), [mark("theirs")], "host_gone", place="host_gone")
    with store.write(ADMIN) as unit:
        remove_host(unit, "host_gone")
    assert await said(admin_of(store, [mark()])) == (200, "issued")


async def test_a_store_that_has_less_than_it_had_is_refused_until_somebody_accepts_it(store: Store) -> None:
    note(store, mark(batch=9), [mark(batch=9)])
    later = [mark(batch=8), mark(run=11, batch=12)]  # a copy was put back, and written to
    note(store, later[-1], later)
    admin = admin_of(store, later)
    answer = await admin.post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (409, "usage_store_went_back")
    assert "gateway here" in answer.json()["detail"]
    assert (await admin.get("/usage-gateways")).json()["data"][0]["state"] == "lacking"
    assert await said(admin_of(store, [mark(batch=9)])) == (200, "issued"), "its rows are put back"
    note(store, mark(batch=9), [])
    assert await said(admin, tenant="acme") == (200, "already_issued")
    assert (await admin.post("/usage-gateways/here/accept", {"reason": "lost for good"})).json()["state"] == "known"
    note(store, later[-1], later)
    with store.read() as reader:
        known = list_usage_gateways(reader)["here"]
    assert (known.run, known.batch, known.host_id) == (11, 12, "host_here")
    (entry,) = (await admin.get("/audit?action=usage_gateway.accept")).json()["data"]
    assert (entry["before"]["batch"], entry["after"]["batch"]) == ("9", None)


def test_what_is_known_of_a_gateway_goes_on_with_it(store: Store) -> None:
    asked: list[Marks] = []

    def once(own: Mark | None, stored: Sequence[Mark]) -> tuple[int | None, int | None]:
        def ask(question: Marks) -> MarksAnswer:
            asked.append(question)
            return MarksAnswer(gateway="here", own=own, stored=list(stored) if question.stored else [])

        note_mark(store, ask, "host_here", "at x", NOW)
        with store.read() as reader:
            known = list_usage_gateways(reader)["here"]
        return known.run, known.batch

    assert once(None, []) == (None, None)
    assert not any(question.stored for question in asked), "the store is not opened for that"
    assert once(mark(), [mark()]) == (5, 7)
    asked.clear()
    assert once(mark(), [mark()]) == (5, 7)
    assert once(None, [mark()]) == (5, 7), "a process that has stored nothing yet says nothing"
    assert not any(question.stored for question in asked), "nor for what is known"
    assert once(mark(batch=8), [mark(batch=8)]) == (5, 8)
    assert once(mark(run=9, batch=9), [mark(batch=8), mark(run=9, batch=9)]) == (9, 9)


async def test_what_was_accepted_stays_so_while_the_writer_has_a_mark_of_before(store: Store) -> None:
    """It has written nothing since its store was made anew under it, and says what it had written then."""
    note(store, mark(), [mark()])
    admin = admin_of(store, [])
    assert await said(admin) == (409, "usage_store_went_back")
    accepted = await admin.post("/usage-gateways/here/accept", {"reason": "lost for good"})
    assert accepted.json()["state"] == "known"
    for _ in range(2):
        note(store, mark(), [])
        assert await said(admin, tenant="nobody") == (200, "not_issued")
    after = mark(run=11, batch=12)
    note(store, after, [after])
    with store.read() as reader:
        known = list_usage_gateways(reader)["here"]
    assert (known.run, known.batch) == (11, 12)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(writer, "LINGER_S", 0.0)
    made = Place(tmp_path)
    yield made
    made.store.close()
    made.journal.close()


def test_a_real_store_that_is_put_back_from_a_copy_is_noticed(store: Store, place: Place) -> None:
    def told(one: writer.Writer) -> Any:
        questions = Questions(place.store, own=lambda: (one.gateway, one.mark))

        async def all_of(asked: Marks) -> bytes:
            return b"".join([line async for line in questions.answer(msgspec.json.encode(asked))])

        return lambda asked: msgspec.json.decode(asyncio.run(all_of(asked)), type=MarksAnswer)

    def stored(seed: int) -> writer.Writer:
        place.journal.append(make_rows(seed, 20, NOVEMBER_MS - 10 * 86_400_000))
        one = place.write_all()
        note_mark(store, told(one), "host_here", "host_here", NOW)
        return one

    with store.write_aside() as writer_:
        note_host(writer_, Host(id="host_here", name="here"))
    stored(91)
    place.store.close()
    usage, copy = place.folder / "usage", place.folder / "copy"
    shutil.copytree(usage, copy, symlinks=True)
    stored(92)
    place.store.close()
    shutil.rmtree(usage)
    shutil.copytree(copy, usage, symlinks=True)
    admin = admin_of(store, (), ask_marks=told(stored(93)))

    async def billed() -> None:
        assert await said(admin) == (409, "usage_store_went_back")
        accepted = await admin.post(f"/usage-gateways/{GATEWAY}/accept", {"reason": "lost"})
        assert accepted.json()["months"] == ["2026-10"]
        assert await said(admin) == (200, "issued")

    asyncio.run(billed())
