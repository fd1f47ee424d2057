"""Up to when everything is settled and stored: never later than what is on the way, and on where nothing happens."""

import asyncio
from pathlib import Path

from ledger.journal.reader import JournalReader
from ledger.journal.stored_until import StoredUntil, asked_of_ledger
from ledger.spool.settled_until import FLUSH_MS, SettledUntil
from ledger.spool.spool_file import SpoolFile
from tests.ledger.ledger_process import Ledger, end_line, wait_until


def spool_file(folder: Path, name: str, content: bytes) -> SpoolFile:
    (folder / name).write_bytes(content)
    return SpoolFile.open(folder / name)


def test_settled_is_what_was_there_when_the_mark_was_set(tmp_path: Path) -> None:
    now = [1000.0]
    until = SettledUntil(lambda: now[0])
    file = spool_file(tmp_path, "a.ndjson", b"one\n")
    until.look([file])
    assert until.ms == 0
    with (tmp_path / "a.ndjson").open("ab") as more:
        more.write(b"two\n")
    now[0] = 1010.0
    until.look([file])
    assert until.ms == 0, "the first line is not settled"
    file.settled = 4
    until.look([file])
    assert until.ms == 1_000_000 - FLUSH_MS, "the second one came after the mark"
    now[0] = 1020.0
    until.look([file])
    assert until.ms == 1_000_000 - FLUSH_MS
    until.look([])  # done with, to its end
    assert until.ms == 1_010_000 - FLUSH_MS
    until.look([])
    assert until.ms == 1_020_000 - FLUSH_MS, "it goes on where nothing happens"
    file.close()


def test_a_clock_that_is_put_back_begins_anew(tmp_path: Path) -> None:
    now = [1000.0]
    until = SettledUntil(lambda: now[0])
    until.look([])
    until.look([])
    assert until.ms == 1_000_000 - FLUSH_MS
    now[0] = 9000.0
    until.look([])  # a mark of then
    now[0] = 1010.0
    until.look([])
    assert until.ms == 0
    until.look([])
    assert until.ms == 1_010_000 - FLUSH_MS


def test_a_file_that_nobody_can_look_at_holds_it() -> None:
    now = [1000.0]
    until = SettledUntil(lambda: now[0])
    until.look([])
    until.hold()
    now[0] = 1010.0
    until.look([])
    assert until.ms == 0, "the first mark may have been after lines in that file"
    until.look([])
    assert until.ms == 1_010_000 - FLUSH_MS


class Journal(JournalReader):
    """One whose end the test says."""

    def __init__(self) -> None:
        super().__init__(Path("none"))
        self.end, self.name = 0, "first"

    def newest(self) -> int:
        return self.end

    def identity(self) -> str:
        return self.name


def test_stored_is_what_was_settled_before_the_journals_end_that_is_stored() -> None:
    journal, done, settled = Journal(), [0], [0]
    until = StoredUntil(
        journal, lambda seq, identity: identity == journal.name and done[0] >= seq, lambda: settled[0]
    )
    until.note()
    assert until.ms == 0, "the ledger does not say"
    settled[0], journal.end = 100, 5
    until.note()
    settled[0], journal.end, done[0] = 200, 9, 4
    until.note()
    assert until.ms == 0
    done[0] = 5
    until.note()
    assert until.ms == 100
    until.note()
    assert until.ms == 100, "up to 9 is not stored"
    journal.name, journal.end, done[0] = "second", 0, 0
    settled[0] = 300
    until.note()
    assert until.ms == 300, "a mark of a journal that is lost holds nothing up"
    settled[0] = 250
    until.note()
    assert until.ms == 300, "it does not go back"


def test_who_stores_all_that_waits_says_so_of_all_that_is_settled() -> None:
    journal, done, settled = Journal(), [0], [100]
    until = StoredUntil(journal, lambda seq, _: done[0] >= seq, lambda: settled[0])
    journal.end = 5
    until.look()
    settled[0], journal.end = 200, 9
    until.renew()
    done[0] = 9
    until.look()
    assert until.ms == 200
    settled[0], journal.end = 300, 12
    until.note()
    settled[0] = 0
    until.renew()
    done[0] = 12
    until.look()
    assert until.ms == 300, "a ledger that does not answer takes nothing back"


def test_what_is_stored_is_not_known_where_the_clock_was_ahead_or_there_is_no_journal() -> None:
    journal, settled, now = Journal(), [5_000], [10.0]
    until = StoredUntil(journal, lambda _, __: True, lambda: settled[0], lambda: now[0])
    journal.name = ""
    until.note()
    assert until.ms == 0, "nothing can be done with"
    journal.name = "first"
    until.note()
    assert until.ms == 5_000
    settled[0] = 90_000
    until.note()
    assert until.ms == 5_000, "that is to come"
    now[0] = 100.0
    until.note()
    assert until.ms == 90_000
    now[0], settled[0] = 20.0, 15_000
    until.note()
    assert until.ms == 15_000


def test_a_spool_file_that_can_not_be_opened_is_waited_for(ledger: Ledger) -> None:
    epoch = "20260101T000000-aaaaaa"
    ledger.alive(epoch)
    ledger.append(epoch, end_line("a", status=200, attempts=1))
    other = ledger.path(f"{epoch}.000001")
    other.symlink_to(other)
    ledger.start()
    wait_until(lambda: ledger.says()["lines"] == 1 and ledger.says()["behind_bytes"] == 0)
    wait_until(lambda: len(ledger.logged("spool file can't be read")) > 3)
    said = ledger.says()
    assert (said["unread_files"], said["settled_until_ms"]) == (1, 0)
    other.unlink()
    wait_until(lambda: ledger.says()["settled_until_ms"] > 0)
    assert ledger.says()["unread_files"] == 0


async def test_a_ledger_says_up_to_when_it_has_settled(ledger: Ledger) -> None:
    epoch = "20260101T000000-aaaaaa"
    ledger.alive(epoch)
    await asyncio.to_thread(ledger.start)
    socket = ledger.state / "run/ledger.sock"
    await asyncio.to_thread(wait_until, lambda: asked_of_ledger(socket) > 0)
    before = asked_of_ledger(socket)
    ledger.append(epoch, end_line("a", status=200, attempts=1))
    await asyncio.to_thread(wait_until, lambda: asked_of_ledger(socket) > before)
    ledger.kill()
    assert asked_of_ledger(socket) == 0
