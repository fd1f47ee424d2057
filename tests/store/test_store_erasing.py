"""Deleted tenants are taken out of the store: sums stay right, whatever breaks off, comes late or is done twice."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headgate.erasures import Erasure, Report, ask, report, reported_stored
from ledger.journal.reader import JournalReader
from ledger.rows import Row
from ledger.store import erasing, writer
from ledger.store.client import StoreAway
from ledger.store.erasing import StoreEraser
from ledger.store.schema import REQUESTS, ROLLUPS
from tests.store.made_rows import NOVEMBER_MS, Journal, make_rows, sums_of
from tests.store.place import Place, in_all
from tests.store.stores import stored_sums


@pytest.mark.parametrize("stops", [None, "_move", "_remove"])
def test_erasing_a_tenant(place: Place, monkeypatch: pytest.MonkeyPatch, stops: str | None) -> None:
    rows, folder = make_rows(21, 2_000, every_ms=600), place.folder / "erasures"
    place.journal.append(rows)
    one = place.write_all()
    before = place.sums()
    ask(Erasure("deletion-1", "ünïcode 'quoted'"), folder)
    eraser = StoreEraser(place.store, one, JournalReader(place.folder / "ledger" / "usage.db"), folder)
    eraser.look()
    assert place.sums() == before  # the ledger is not done yet
    report(Report("deletion-1", {}, {}), folder)
    if stops:
        _break_off(monkeypatch, eraser, stops)
    _until(lambda: (eraser.look(), reported_stored("deletion-1", folder))[1])
    assert reported_stored("deletion-1", folder) == Report("deletion-1", {}, dict.fromkeys((REQUESTS, *ROLLUPS), 0))
    after = place.sums()
    assert {table: after[table] for table in ROLLUPS} == {table: before[table] for table in ROLLUPS}
    assert after[REQUESTS] == sums_of([row for row in rows if row.tenant != "ünïcode 'quoted'"])
    with place.store.client() as client:
        for table in ROLLUPS:
            sql = f"SELECT key_id, user, began = toStartOfDay(began) FROM {table} WHERE tenant = 'deletion-1'"
            assert set(client.query(sql).result_rows) == {("", "", 1)}


def _break_off(monkeypatch: pytest.MonkeyPatch, eraser: StoreEraser, name: str) -> None:
    """A crash in the middle of it, once: behind the first sums that are moved, or the first table that is rid."""
    real, calls = getattr(erasing, name), []

    def breaks(*given: Any) -> None:
        calls.append(given)
        if len(calls) > 1:
            raise OSError
        real(*given)

    with monkeypatch.context() as patched:
        patched.setattr(erasing, name, breaks)
        with pytest.raises(StoreAway):
            _until(lambda: eraser.look())


class Deleted:
    """A tenant that is deleted, in a place that has its rows."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder = place.folder / "erasures"
        self.rows = make_rows(27, 3_000, every_ms=90_000)
        place.journal.append(self.rows)
        self.writer = place.write_all()
        reader = JournalReader(place.folder / "ledger" / "usage.db")
        self.eraser = StoreEraser(place.store, self.writer, reader, self.folder)
        ask(Erasure("deletion-1", "acme"), self.folder)
        report(Report("deletion-1", {}, {}), self.folder)

    def finish(self, eraser: StoreEraser) -> None:
        _until(lambda: (eraser.look(), reported_stored("deletion-1", self.folder))[1])

    def check(self, rows: list[Row]) -> None:
        with self.place.store.client() as client:
            sums = stored_sums(client)
            assert {table: sums[table] for table in ROLLUPS} == dict.fromkeys(ROLLUPS, sums_of(rows))
            for table in ROLLUPS:
                kept = f"SELECT sum(price_nano) FROM {table} WHERE tenant = 'deletion-1'"
                ((nano,),) = client.query(kept).result_rows
                assert nano == sum(row.sign * row.price_nano for row in rows if row.tenant == "acme")


def test_sums_of_an_erased_tenant_whose_part_was_lost_are_moved_again(place: Place) -> None:
    """A kill before the part is renamed: whatever else was noted of it must not stand for it."""
    deleted = Deleted(place)
    with place.store.client() as client:
        client.command("SYSTEM STOP MERGES")
        for table in ROLLUPS:
            before = _parts(client, table)
            erasing._move(client, Erasure("deletion-1", "acme"), table, NOVEMBER_MS // 1000 // 86_400 * 86_400)
            (made,) = _parts(client, table) - before
            client.command(f"ALTER TABLE {table} DROP PART '{made}'")
        client.command("SYSTEM START MERGES")
    deleted.finish(deleted.eraser)
    deleted.check(deleted.rows)


def test_two_gateways_that_move_the_same_sums_at_once(place: Place) -> None:
    deleted = Deleted(place)
    with place.store.client() as client:
        client.command("SYSTEM STOP MERGES")
        for table in ROLLUPS:
            before = _parts(client, table)
            erasing._move(client, Erasure("deletion-1", "acme"), table, NOVEMBER_MS // 1000 // 86_400 * 86_400)
            (made,) = _parts(client, table) - before
            client.command(f"INSERT INTO {table} SELECT * FROM {table} WHERE _part = '{made}'")
        client.command("SYSTEM START MERGES")
    assert place.sums() == in_all(deleted.rows)  # of everybody they are right all the time
    deleted.finish(deleted.eraser)
    deleted.check(deleted.rows)


def test_another_gateway_stores_rows_of_an_erased_tenant_later(place: Place) -> None:
    """The same sums on the same days: each host takes out what its own ledger had before it was done."""
    deleted = Deleted(place)
    deleted.finish(deleted.eraser)
    (deleted.folder / "deletion-1.stored").unlink()
    again = [msgspec.structs.replace(row, request_id=f"b-{row.request_id}") for row in deleted.rows]
    journal = Journal(place.folder / "other" / "usage.db")
    journal.append(again)
    reader = JournalReader(place.folder / "other" / "usage.db")
    other = writer.Writer(place.store, reader, "gateway-2", place.folder / "other", place.folder / "none")
    while other.step():
        pass
    deleted.eraser.look()  # moves the sums, and leaves the other one's requests to it
    with place.store.client() as client:
        ((count,),) = client.query(f"SELECT count() FROM {REQUESTS} WHERE tenant = 'acme'").result_rows
    assert count == sum(row.tenant == "acme" for row in again)
    deleted.finish(StoreEraser(place.store, other, reader, deleted.folder))
    deleted.check(deleted.rows + again)
    journal.close()


def test_a_journal_made_anew_holds_up_no_erasing(place: Place) -> None:
    deleted = Deleted(place)
    place.journal.append(make_rows(28, 10))
    deleted.eraser.look()  # waits for what is in the journal now
    place.journal.lose()
    place.journal.append(make_rows(29, 10))
    while deleted.writer.step():
        pass
    deleted.finish(deleted.eraser)


def _parts(client: Any, table: str) -> set[str]:
    sql = "SELECT name FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}"
    return {name for (name,) in client.query(sql, parameters={"table": table}).result_rows}


def _until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
