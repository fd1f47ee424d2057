"""The real ledger's journal: as many rows as requests, each once, whatever is killed, copied, lost or full."""

import contextlib
import random
import resource
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable

from ledger_process import Ledger, end_line, open_slots, wait_until
from redis import Redis
from spending import E1, E2, E3, LIMITS, PRICE, base_of, in_database, reserved, used_line

from headgate.contract import PRICES
from headgate.prices import PriceList, write_prices
from ledger.journal.progress import Progress, write_progress
from ledger.journal.reader import JournalReader
from ledger.rows import Row

SUMS = "SELECT sum(requests), sum(input), sum(output), sum(nano_usd) FROM usage_by_day"


def sums_of(rows: Iterable[Row]) -> list[tuple[int, ...]]:
    """As `SUMS` has them."""
    amounts = [
        tuple(row.sign * some for some in (row.requests, row.prompt_tokens, row.completion_tokens, row.price_nano))
        for row in rows
    ]
    return [tuple(map(sum, zip(*amounts, strict=True)))]


def counted(ledger: Ledger) -> int:
    with contextlib.suppress(sqlite3.OperationalError):
        return int(in_database(ledger, SUMS)[0][0] or 0)
    return 0


def begin(ledger: Ledger, *living: str) -> None:
    ledger.alive(*living)
    ledger.tables({"acme": LIMITS}, PRICE)
    write_prices(PriceList({"chat": PRICE}), ledger.state / PRICES.name, 1)


def lines_of(numbers: range, chance: random.Random) -> list[bytes]:
    """Nine of ten were answered, the tenth was refused."""
    return [
        end_line(f"r{number}", reserved=False, attempts=0, status=429, key_id="ci")
        if number % 10 == 9
        else used_line(f"r{number}", chance.randrange(900), chance.randrange(400))
        for number in numbers
    ]


def test_every_request_has_its_row_once_however_often_the_ledger_is_killed(ledger: Ledger, valkey: Redis) -> None:
    """SIGKILL while lines come in, in files that are renamed, copied and delivered again meanwhile."""
    chance = random.Random(11)  # noqa: S311
    begin(ledger, E1)
    ledger.start()
    number = 0
    for round_ in range(14):
        for _ in range(8):
            some = range(number, number + 20)
            number += 20
            reserved(valkey, E1, *(f"r{one}" for one in some if one % 10 != 9))
            ledger.append(E1, b"".join(lines_of(some, chance)))
            if chance.random() < 0.2:
                shutil.copy(ledger.path(E1), ledger.path(f"{E2}.{round_ + 1:06d}"))
            if chance.random() < 0.2:
                ledger.path(E1).rename(ledger.path(f"{E1}.{round_ + 1:06d}"))
                break
        time.sleep(chance.random() * 0.06)
        ledger.kill()
        if round_ % 3 == 0:
            (ledger.state / "ledger/checkpoint.json").unlink(missing_ok=True)
        ledger.start()
    wait_until(lambda: not open_slots(valkey) and not ledger.says()["behind_bytes"], within_s=60)
    rows = ledger.journal()
    assert Counter(row.request_id for row in rows) == Counter(f"r{one}" for one in range(number))
    assert sums_of(rows) == in_database(ledger, SUMS)
    assert sum(row.requests for row in rows) == number * 9 // 10
    assert {row.status for row in rows if not row.requests} == {429}
    assert not ledger.logged("requests without a record are charged their estimate")
    if list(ledger.spool.glob(f"{E2}*")):
        assert ledger.logged("lines of requests that were counted before are left out")


def test_a_file_that_is_delivered_again_closes_and_charges_nothing(ledger: Ledger, valkey: Redis) -> None:
    begin(ledger, E1, E2)
    missed = [used_line(f"m{number}", reserved=None) for number in range(5)]  # the counters were away
    lines = lines_of(range(40), random.Random(1))  # noqa: S311
    ledger.append(E1, b"".join((*lines, *missed)))
    ledger.start()
    wait_until(lambda: counted(ledger) == 41)
    before = in_database(ledger, SUMS)
    ledger.kill()
    ledger.start()
    valkey.flushall()  # so that nothing there knows them
    ledger.append(E2, end_line("other", reserved=False) + ledger.path(E1).read_bytes())
    ledger.append(E3, b"".join(reversed(missed)) + used_line("last"))
    wait_until(lambda: counted(ledger) == 42)
    assert sums_of(ledger.journal()) == in_database(ledger, SUMS)
    assert [now - then for now, then in zip(in_database(ledger, SUMS)[0], before[0], strict=True)][:3] == [1, 100, 20]
    assert max(Counter(row.request_id for row in ledger.journal()).values()) == 1
    closed = {key.rpartition(":")[2] for key in valkey.keys("hg:*:r:*")}
    assert not closed & {f"m{number}" for number in range(5)}


def test_a_lost_database_makes_the_same_rows_again(ledger: Ledger, valkey: Redis) -> None:
    begin(ledger, E1)
    ledger.append(E1, b"".join(lines_of(range(200), random.Random(2))))  # noqa: S311
    when = "2026-11-22T10:00:00.000Z"
    ledger.append(E1, end_line("n", tenant=None, time=when) + end_line(None, tenant=None, time=when))  # type: ignore[arg-type]
    ledger.append(E1, used_line("d", time=when, duration_ms=900))
    ledger.start()
    wait_until(lambda: len(ledger.journal()) == 203)
    reader = JournalReader(ledger.state / "ledger/usage.db")
    identity, newest = reader.identity(), reader.newest()
    before = {row.request_id: row for row in ledger.journal()}
    ledger.store_journal()
    wait_until(lambda: not ledger.journal())
    ledger.end()
    for path in (ledger.state / "ledger").glob("usage.db*"):
        path.unlink()
    ledger.start()
    wait_until(lambda: len(ledger.journal()) == 203)
    assert reader.identity() not in ("", identity)
    assert min(entry.seq for entry in reader.after(0, 99)) > newest
    again = {row.request_id: row for row in ledger.journal()}
    assert again.keys() == before.keys()
    assert (again["n"], again["d"]) == (before["n"], before["d"])
    time.sleep(1.5)
    assert len(ledger.journal()) == 203  # how far the lost one was stored says nothing of this one


def test_an_older_copy_is_another_journal(ledger: Ledger) -> None:
    """Else the store would miss that rows come again."""
    begin(ledger, E1)
    ledger.append(E1, used_line("a"))
    ledger.start()
    wait_until(lambda: counted(ledger) == 1)
    ledger.end()
    database = ledger.state / "ledger/usage.db"
    copy = database.read_bytes()
    ledger.append(E1, used_line("b"))
    ledger.start()
    wait_until(lambda: counted(ledger) == 2)
    ledger.store_journal()
    reader = JournalReader(database)
    identity = reader.identity()
    reader.close()
    ledger.end()
    ledger.start()
    ledger.end()
    assert reader.identity() == identity
    reader.close()
    database.write_bytes(copy)
    ledger.start()
    wait_until(lambda: [row.request_id for row in ledger.journal()] == ["a", "b"])
    assert reader.identity() != identity


def test_a_full_disk_is_waited_for_and_every_row_is_there_once(ledger: Ledger, valkey: Redis) -> None:
    begin(ledger, E1)
    ledger.start()
    chance = random.Random(3)  # noqa: S311
    wait_until(lambda: (ledger.state / "ledger/usage.db").exists())
    for round_ in range(6):
        ledger.limit_files(chance.choice([0, 40_000, 90_000]))
        ledger.append(E1, b"".join(lines_of(range(round_ * 500, round_ * 500 + 500), chance)))
        time.sleep(0.3)
        if round_ % 2:
            ledger.kill()
            ledger.start()
        ledger.limit_files(resource.RLIM_INFINITY)
    wait_until(lambda: counted(ledger) == 2700)
    assert sums_of(ledger.journal()) == in_database(ledger, SUMS)
    assert Counter(row.request_id for row in ledger.journal()) == Counter(f"r{one}" for one in range(3000))


def test_an_estimates_row_is_taken_back_by_its_line(ledger: Ledger, valkey: Redis) -> None:
    begin(ledger, E1)
    ledger.start()
    wait_until(lambda: valkey.hkeys(base_of(LIMITS)))
    reserved(valkey, E1, "lost", "late")
    ledger.append(E1, used_line("other"))
    ledger.alive(E2)  # that of the reservations has died
    wait_until(lambda: counted(ledger) == 3)
    estimated = {row.request_id: row for row in ledger.journal() if row.reason}
    assert {name: (row.prompt_tokens, row.estimated) for name, row in estimated.items()} == {
        "lost": (1000, True),
        "late": (1000, True),
    }
    assert {(row.tenant, row.key_id, row.model, row.reason) for row in estimated.values()} == {
        ("acme", "ci", "chat", "epoch")
    }
    ledger.append(E3, used_line("late", 7, 3))
    wait_until(lambda: len(ledger.journal()) == 5, says=ledger.log)
    *_, back, line = ledger.journal()
    assert (back.request_id, back.sign, back.reason, back.price_nano) == (
        "late",
        -1,
        "epoch",
        estimated["late"].price_nano,
    )
    assert (line.request_id, line.sign, line.reason, line.prompt_tokens) == ("late", 1, "", 7)
    assert sums_of(ledger.journal()) == in_database(ledger, SUMS)


def test_entries_go_when_they_are_stored_and_their_space_is_used_again(ledger: Ledger) -> None:
    begin(ledger, E1)
    ledger.start()
    chance = random.Random(4)  # noqa: S311
    database = ledger.state / "ledger/usage.db"
    sizes = []
    for round_ in range(4):
        ledger.append(E1, b"".join(lines_of(range(round_ * 5000, round_ * 5000 + 5000), chance)))
        wait_until(lambda: len(ledger.journal()) == 5000, says=ledger.log)  # of this round
        ledger.store_journal()
        wait_until(lambda: not ledger.journal())
        with sqlite3.connect(database) as db:
            db.execute("PRAGMA wal_checkpoint")
            pages = "SELECT page_count - freelist_count, freelist_count FROM pragma_page_count, pragma_freelist_count"
            sizes.append(db.execute(pages).fetchone())
        db.close()
    used = [used for used, _ in sizes]
    free = [free for _, free in sizes]
    assert free[-1] < 2 * free[0] + 20, sizes
    assert used[-1] - used[0] < 15_000 * 40 / 4096 + 20, sizes  # what is left of each is its id


def test_progress_that_says_nothing_removes_nothing(ledger: Ledger) -> None:
    begin(ledger, E1)
    ledger.append(E1, used_line("a"))
    ledger.start()
    wait_until(lambda: counted(ledger) == 1)
    write_progress("store", Progress("another", 2**60), ledger.state / "ledger")
    time.sleep(1.5)
    (ledger.state / "ledger/journal-store.json").write_bytes(b"{")
    time.sleep(1.5)
    assert [row.request_id for row in ledger.journal()] == ["a"]


def test_rows_say_how_long_their_tenant_wants_them_kept(ledger: Ledger) -> None:
    begin(ledger, E1)
    ledger.tables({"acme": LIMITS, "globex": LIMITS}, PRICE, retention_s={"globex": 86_400})
    ledger.append(E1, used_line("a", time="2026-11-22T10:00:00Z") + used_line("g", tenant="globex"))
    ledger.start()
    wait_until(lambda: counted(ledger) == 2)
    kept = {row.tenant: row.kept_until_s - row.began_ms // 1000 for row in ledger.journal()}
    assert kept["globex"] == 86_400
    assert [row.kept_until_s for row in ledger.journal() if row.tenant == "acme"] == [0]


def test_a_websockets_own_line_is_no_request(ledger: Ledger) -> None:
    begin(ledger, E1)
    ledger.append(E1, end_line("ws", surface="responses.websocket", status=101, attempts=1) + used_line("a"))
    ledger.start()
    wait_until(lambda: counted(ledger) == 1)
    assert [row.request_id for row in ledger.journal()] == ["a"]
