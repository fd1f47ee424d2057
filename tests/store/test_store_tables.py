"""What the writer leaves in the store wherever it stops, what it does with odd rows, and old or damaged tables."""

import shutil
import time
import zlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.binding import format_bind_value

from headgate.erasures import Erasure, ask
from ledger.journal.progress import read_progress
from ledger.journal.reader import JournalReader
from ledger.store import batches, writer
from ledger.store.client import Store, StoreAway, StoreTooNew
from ledger.store.migrations import bring_up, migrations
from ledger.store.schema import BY_DAY, BY_HOUR, BY_MINUTE, GROUP_COLUMNS, REQUEST_COLUMNS, REQUESTS, ROLLUPS
from tests.store.made_rows import NOVEMBER_MS, Chance, Journal, make_row, make_rows, sums_of
from tests.store.place import GATEWAY, Place, in_all
from tests.store.stores import open_store, stored_rows, stored_sums


def test_a_batch_is_one_part_of_each_rollup(place: Place) -> None:
    """What its mark rests on."""
    rows = make_rows(3, 19_000, every_ms=60)
    place.journal.append(rows)
    with place.store.client() as client:
        client.command("SYSTEM STOP MERGES")
    place.write_all()
    with place.store.client() as client:
        parts = client.query(
            "SELECT table, partition, count() FROM system.parts WHERE active AND database = currentDatabase()"
            " AND table LIKE 'usage_by_%' GROUP BY ALL"
        ).result_rows
        client.command("SYSTEM START MERGES")
    assert sorted(parts) == [(table, month, 1) for table in sorted(ROLLUPS) for month in ("202610", "202611")]
    assert place.sums() == in_all(rows)


@pytest.mark.parametrize("done", [(), (BY_HOUR,), (BY_DAY, BY_MINUTE), tuple(ROLLUPS)])
def test_a_batch_that_was_left_half_done(place: Place, done: tuple[str, ...]) -> None:
    """As a process leaves it that is killed between the table and its rollups, or before it has said so."""
    first, half, more = make_rows(4, 300), make_rows(5, 500), make_rows(6, 200)
    place.journal.append(first)
    place.write_all()
    place.journal.append(half)
    with place.store.client() as client:
        times = [row.began_ms for row in half]
        batches.insert(client, half, GATEWAY, batch := batches.next_batch(client, 0))
        for table in done:
            batches.roll_up(client, (min(times), max(times)), GATEWAY, batch, only=table)
    place.journal.append(more)
    place.write_all()
    assert place.sums() == in_all(first + half + more)


def test_rows_that_come_again(place: Place) -> None:
    """In one block, in the next one, from another journal; an estimate, its taking back and its line are three."""
    chance = Chance(7)
    known = {"request_id": "r-1", "tenant": "acme"}
    estimate = make_row(chance, NOVEMBER_MS, **known, reason="its lease was over", estimated=True)
    back, line = msgspec.structs.replace(estimate, sign=-1), make_row(chance, NOVEMBER_MS, **known)
    rows = [estimate, back, line, *make_rows(8, 50)]
    place.journal.append([*rows, *rows[:20]])
    place.write_all()
    place.journal.append(rows[10:40])
    place.write_all()
    place.journal.lose()
    place.journal.append(rows, at_once=7)
    place.write_all()
    assert place.sums() == in_all(rows)


def test_rows_that_the_store_has_forgotten_do_not_count_twice(place: Place) -> None:
    """After the loss of the ledger's database their spool is read again, when their tenant's retention is over."""
    now_ms = time.time_ns() // 1_000_000
    old = make_rows(66, 60, now_ms - 2 * 86_400_000)
    short = [msgspec.structs.replace(row, kept_until_s=now_ms // 1000 - 60) for row in old[:25]]
    rows = [*short, *old[25:]]
    place.journal.append(rows)
    place.write_all()
    with place.store.client() as client:
        forget = "kept_until < now() + INTERVAL 2 DAY SETTINGS mutations_sync = 1"  # as a day later
        client.command(f"ALTER TABLE {REQUESTS} DELETE WHERE {forget}")
        assert stored_rows(client) == len(rows) - len(short), "their retention is over"
    place.reopen()
    place.journal.lose()
    place.journal.append(rows)
    place.write_all()
    later = [msgspec.structs.replace(row, ended_ms=now_ms + 60_000) for row in make_rows(67, 10, now_ms)]
    place.journal.append([msgspec.structs.replace(row, kept_until_s=now_ms // 1000 - 60) for row in later])
    place.write_all()
    with place.store.client() as client:
        sums = stored_sums(client)
    assert {table: sums[table] for table in ROLLUPS} == dict.fromkeys(ROLLUPS, sums_of([*rows, *later]))


def test_what_waited_until_its_retention_was_over_counts(place: Place) -> None:
    """The store was away: the journal is the one that it was."""
    now_ms = time.time_ns() // 1_000_000
    place.journal.append(make_rows(68, 10, now_ms - 3 * 86_400_000))
    place.write_all()
    waited = make_rows(69, 10, now_ms + 60_000)
    place.journal.append([msgspec.structs.replace(row, kept_until_s=now_ms // 1000 - 60) for row in waited])
    place.write_all()
    with place.store.client() as client:
        assert stored_sums(client)[BY_DAY]["rows"] == 20


def test_an_id_that_a_client_chose_stands_for_no_other_request(place: Place) -> None:
    somebodys = make_row(Chance(23), NOVEMBER_MS, tenant="acme")
    nobodys = [
        make_row(Chance(24 + number), NOVEMBER_MS + number, tenant="", request_id=somebodys.request_id)
        for number in range(3)
    ]
    place.journal.append(nobodys)
    place.write_all()
    place.journal.append([somebodys, *nobodys])
    place.write_all()
    assert place.sums() == in_all([somebodys, *nobodys])


def test_times_of_a_clock_that_was_lost(place: Place) -> None:
    rows = [make_row(Chance(25), 253_402_300_000_000), make_row(Chance(26), NOVEMBER_MS)]
    place.journal.append(rows)
    place.write_all()
    place.journal.append(rows)
    place.write_all()
    assert place.sums() == in_all(rows)


def test_numbers_that_no_column_takes(place: Place) -> None:
    odd = make_row(Chance(9), NOVEMBER_MS, attempts=70_000, cost=Decimal(10) ** 30, prompt_tokens=5)
    tiny = make_row(Chance(10), NOVEMBER_MS, cost=Decimal("1E-7"))
    longest = make_row(Chance(11), NOVEMBER_MS, cost=Decimal("0.12345678901234567890123"))
    place.journal.append([odd, tiny, longest])
    place.write_all()
    with place.store.client() as client:
        found = client.query(f"SELECT request_id, attempts, cost FROM {REQUESTS}").result_rows
    assert {request_id: (attempts, cost) for request_id, attempts, cost in found} == {
        odd.request_id: (65_535, None),
        tiny.request_id: (1, Decimal("1E-7")),
        longest.request_id: (1, Decimal("0.123456789012345678")),
    }


def test_every_field_of_a_row_is_kept(place: Place) -> None:
    rows = make_rows(12, 40)
    rows.append(make_row(Chance(13), NOVEMBER_MS, kept_until_s=2_000_000_000, unit="image", units=3))
    place.journal.append(rows)
    place.write_all()
    made = {"ended": "toUnixTimestamp64Milli(ended)", "began": "toUnixTimestamp64Milli(began)"}
    made["kept_until"] = "toUnixTimestamp(kept_until)"
    columns = [made.get(name, name) for name in REQUEST_COLUMNS]
    with place.store.client() as client:
        found = client.query(f"SELECT {', '.join(columns)} FROM {REQUESTS}").result_rows
    own = [row.kept_until_s or row.began_ms // 1000 + 400 * 86_400 for row in rows]
    expected = [
        msgspec.structs.astuple(msgspec.structs.replace(row, kept_until_s=until))
        for row, until in zip(rows, own, strict=True)
    ]
    assert sorted((tuple(values[:-2]) for values in found), key=repr) == sorted(expected, key=repr)
    assert {values[-2] for values in found} == {GATEWAY}


def test_the_schema_names_the_columns_that_there_are(place: Place) -> None:
    with place.store.client() as client:
        found = client.query(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase() ORDER BY position"
        ).result_rows
    by_table: dict[str, list[str]] = {}
    for table, name in found:
        by_table.setdefault(table, []).append(name)
    assert [name for name in by_table[REQUESTS] if not name.endswith(("ended_ms", "began_ms", "until_s"))] == list(
        REQUEST_COLUMNS
    )
    assert all(by_table[table][: len(GROUP_COLUMNS)] == list(GROUP_COLUMNS) for table in ROLLUPS)


def test_an_insert_that_comes_too_late_is_none(place: Place) -> None:
    """That of a server which hung, and whose client has given up."""
    rows = make_rows(14, 10)
    with place.store.client() as client:
        old = (batches.clock_ms(client) - int(batches.FENCE_S * 1000) - 1) << 20
    with pytest.raises(StoreAway) as caught, place.store.client() as client:
        batches.insert(client, rows, GATEWAY, old)
    assert caught.value.code == 469
    with place.store.client() as client:
        assert stored_rows(client) == 0


def test_a_lost_store_gets_what_the_journal_still_has(place: Place) -> None:
    rows = make_rows(15, 100)
    place.journal.append(rows)
    place.write_all()
    place.store.close()
    shutil.rmtree(place.folder / "usage")
    place.store = open_store(place.folder / "usage")
    more = make_rows(16, 100)
    place.journal.append(more)
    place.write_all()
    assert place.sums() == in_all(rows + more)


def test_a_damaged_part_is_said_and_the_rest_goes_on(place: Place) -> None:
    place.journal.append(make_rows(17, 500, since_ms=NOVEMBER_MS - 86_400_000))
    place.write_all()
    place.store.close()
    data = max(place.folder.glob("usage/store/*/*/*/data.bin"), key=lambda path: path.stat().st_size)
    data.write_bytes(data.read_bytes()[:500])
    place.store = open_store(place.folder / "usage")
    with place.store.client() as client:
        assert stored_rows(client) == 0
    standing = place.store.standing
    assert (standing.state, standing.detail) == (
        "behind",
        "1 damaged parts of requests are set aside: what was in them is missing",
    )


def test_a_folder_that_cant_be_opened_is_away_and_left_alone(place: Place) -> None:
    place.journal.append(make_rows(18, 10))
    place.write_all()
    place.store.close()
    table = max(place.folder.glob("usage/store/*/*/requests.sql"))
    good = table.read_bytes()
    table.write_text("no statement")
    place.store = open_store(place.folder / "usage")
    with pytest.raises(StoreAway), place.store.client():
        pass
    assert place.store.standing.state == "away"
    table.write_bytes(good)
    with place.store.client() as client:
        assert stored_rows(client) == 10
    assert place.store.standing.state == "up"


def test_another_version_keeps_what_is_there(place: Place) -> None:
    rows = make_rows(19, 200)
    place.journal.append(rows)
    place.write_all()
    place.store.close()
    steps = migrations() | {3: [f"ALTER TABLE {REQUESTS} ADD COLUMN IF NOT EXISTS zone String DEFAULT 'here'"]}
    place.store = Store(None, place.folder / "usage", lambda client: bring_up(client, steps))
    with place.store.client() as client:
        assert client.query(f"SELECT DISTINCT zone FROM {REQUESTS}").result_rows == [("here",)]
    assert not place.store.was_empty
    assert place.sums() == in_all(rows)
    place.reopen()  # the version of before
    with pytest.raises(StoreTooNew, match="of version 3; this Headgate knows up to 2"), place.store.client():
        pass
    assert place.store.standing.state == "unusable"
    place.journal.append(make_rows(20, 10))
    before = read_progress("store", place.folder / "ledger")
    with pytest.raises(StoreTooNew):
        place.new_writer().step()
    assert read_progress("store", place.folder / "ledger") == before


def test_what_was_stored_under_the_name_of_a_tenant_comes_again_under_its_deletions(place: Place) -> None:
    """Stored, not yet noted, and meanwhile the ledger has renamed what waits in the journal."""
    rows = make_rows(22, 100)
    place.journal.append(rows)
    with place.store.client() as client:
        batches.insert(client, rows, GATEWAY, batches.next_batch(client, 0))
    ask(Erasure("deletion-1", "acme"), place.folder / "erasures")
    place.journal.rename("acme", "deletion-1")
    place.write_all()
    assert place.sums() == in_all(rows)


def test_two_gateways_whose_batches_have_one_number(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """They ask one clock; each batch is its gateway's, also when it was left half done."""
    now_ms = time.time_ns() // 10**6
    monkeypatch.setattr(batches, "clock_ms", lambda _: now_ms)
    mine, theirs, half = make_rows(31, 300), make_rows(32, 200), make_rows(33, 100)
    place.journal.append(mine)
    place.write_all()
    journal = Journal(place.folder / "other" / "usage.db")
    journal.append(theirs)
    reader = JournalReader(place.folder / "other" / "usage.db")
    monkeypatch.setattr(batches, "roll_up", _never)
    with pytest.raises(StoreAway):
        writer.Writer(place.store, reader, "gateway-2", place.folder / "other", place.folder / "none").step()
    monkeypatch.undo()
    monkeypatch.setattr(writer, "LINGER_S", 0.0)
    other = writer.Writer(place.store, reader, "gateway-2", place.folder / "other", place.folder / "none")
    journal.append(half)
    while other.step():
        pass
    assert place.sums() == in_all(mine + theirs + half)
    journal.close()


def _never(*_: Any, **__: Any) -> None:
    raise OSError


def test_ids_and_tenants_of_nothing_but_quotes(place: Place) -> None:
    rows = [
        make_row(Chance(number), NOVEMBER_MS, tenant=f"{number:'>60}", request_id=f"{number:'>36}")
        for number in range(2_500)
    ]
    asked: list[int] = []

    class Watching:
        def query(self, sql: str, parameters: dict[str, Any]) -> Any:
            asked.append(max(len(format_bind_value(value)) for value in parameters.values()))
            return client.query(sql, parameters=parameters)

    place.journal.append(rows)
    place.write_all()
    with place.store.client() as client:
        assert len(batches.known_keys(Watching(), rows)) == 2_500  # type: ignore[arg-type]
    assert max(asked) < 128 * 1024


def test_two_ids_of_one_check_sum_are_two_requests(place: Place) -> None:
    rows = [
        make_row(Chance(1), NOVEMBER_MS, tenant="acme", request_id=request_id)
        for request_id in ("plumless", "buckeroo")
    ]
    assert len({zlib.crc32(row.request_id.encode()) for row in rows}) == 1
    for row in rows:
        place.journal.append([row])
        place.write_all()
    assert place.sums() == in_all(rows)


def test_doubt_is_cleared_for_nobody_before_the_fence(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "is_embedded", False)
    monkeypatch.setattr(batches, "end_own_statements", lambda *_: None)
    one, now = place.new_writer(), time.monotonic()
    monkeypatch.setattr(writer.time, "monotonic", lambda: now)
    with place.store.client() as client:
        assert not one.settle(client)
    now += batches.FENCE_S + 1
    with monkeypatch.context() as patched:
        patched.setattr(batches, "finish", _never)
        with pytest.raises(StoreAway), place.store.client() as client:
            one.settle(client)
    with place.store.client() as client:
        assert not one.settle(client)
        now += batches.FENCE_S + 2
        assert one.settle(client)
