"""What a worker gets: all of it once, then what has changed, so that its folder says the same as the gateway's."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from headgate import contract
from headgate.issuers import IssuerRow, keys_file, wanted_file
from headgate.remote.handed import HandedOver, Link
from headgate.remote.holdings import Holdings
from headgate.remote.messages import LAPSE_S, PIECE_BYTES, Add, Handed, Hello, Put, Said, Unpacker, Word, packed
from headgate.snapshot import AuthRow, Snapshot, write_snapshot

ISSUER = IssuerRow("https://issuer.test", ("headgate",))
AUTH = AuthRow(pepper="secrets/auth+1", previous_peppers=("secrets/auth+2",))
ROWS = contract.DIRECTORY / "rows"
HELLO = Hello("gateway", 2, "redis://counters.test")


class Wire(asyncio.Transport):
    """What a connection of the gateway's is to the worker: what it writes, and whether it has let go."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.let_go = b"", False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def is_closing(self) -> bool:
        return self.let_go

    def abort(self) -> None:
        self.let_go = True


class Sides:
    """Two folders, and what has turned."""

    def __init__(self, gateway: Path, worker: Path) -> None:
        self.gateway, self.worker, self.now, self.turns = gateway, worker, 100.0, 0
        os.chdir(worker)
        for folder in ("directory", "secrets", "identity"):
            (worker / folder).mkdir()
            (gateway / folder).mkdir()
        (gateway / "jwks").mkdir()
        self.handed = HandedOver(self._turn, lambda: self.now)
        self.link, self.wire = self.connected()
        self.link.data_received(packed(HELLO))
        self.holdings = Holdings()

    def _turn(self) -> None:
        self.turns += 1

    def connected(self) -> tuple[Link, Wire]:
        link, wire = self.handed.link(), Wire()
        link.connection_made(wire)
        return link, wire

    def send(self, *messages: Handed) -> None:
        os.chdir(self.worker)
        self.link.data_received(b"".join(map(packed, messages)))

    def news(self) -> list[Put | Add]:
        """What the gateway has to say now, and the worker has taken."""
        os.chdir(self.gateway)
        found = list(self.holdings.news())
        os.chdir(self.worker)
        self.send(*found)
        return found

    def heard(self) -> int:
        """The number of what the worker said last."""
        return max((said.number for said in Unpacker(Said).feed(self.wire.written)), default=0)

    def word(self, heard: int | None = None) -> None:
        self.send(Word(self.holdings.generation, 1000, self.heard() if heard is None else heard))

    def asked_and_answered(self, generation: int, *, has_all: bool = True) -> None:
        """The worker says what it works by, the gateway gives its word, and the worker looks again."""
        self.handed.say(generation, has_all=has_all)
        self.word()
        self.handed.say(generation, has_all=has_all)

    def tables(self, generation: int, auth: AuthRow = AUTH) -> None:
        os.chdir(self.gateway)
        tables = Snapshot(generation, 0, 1, [], {}, {}, auth=auth, issuers=(ISSUER,))
        write_snapshot(tables, contract.SNAPSHOT)

    def same(self) -> bool:
        os.chdir(self.worker)
        found = {path.relative_to(self.worker): path for path in self.worker.rglob("*") if path.is_file()}
        return all(path.read_bytes() == (self.gateway / name).read_bytes() for name, path in found.items())


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sides:
    monkeypatch.chdir(tmp_path)
    for name in ("gateway", "worker"):
        (tmp_path / name).mkdir()
    made = Sides(tmp_path / "gateway", tmp_path / "worker")
    for name in ("secrets/auth+1", "secrets/auth+2", "identity/service-key", str(keys_file(ISSUER))):
        (made.gateway / name).write_text(name * 4)
    (made.gateway / ROWS).write_bytes(b"r" * (2 * PIECE_BYTES + 5))
    (made.gateway / "secrets/provider-key").write_text("never handed over")
    made.tables(1)
    return made


def test_everything_comes_once_and_the_tables_last(sides: Sides) -> None:
    found = sides.news()
    assert found[-1].path == "snapshot.json"
    assert {one.path for one in found} == {
        *("secrets/auth+1", "secrets/auth+2", "identity/service-key", "snapshot.json"),
        *(str(keys_file(ISSUER)), str(ROWS)),
    }
    assert sides.same()
    assert sides.turns == 1
    assert sides.news() == []
    assert sides.holdings.wanted == {str(wanted_file(ISSUER))}


def test_what_comes_to_the_directory_is_all_that_goes(sides: Sides) -> None:
    sides.news()
    with (sides.gateway / ROWS).open("ab") as file:
        file.write(b"more")
    assert sides.news() == [Add(str(ROWS), b"more")]
    assert sides.same()


def test_another_directory_is_handed_over_whole(sides: Sides) -> None:
    sides.news()
    draft = sides.gateway / "draft"
    draft.write_bytes(b"n" * (3 * PIECE_BYTES))
    draft.replace(sides.gateway / ROWS)
    before = (sides.worker / ROWS).stat().st_ino
    assert [type(one) for one in sides.news()] == [Put] * 3
    assert sides.same()
    assert (sides.worker / ROWS).stat().st_ino != before  # who has the old one open reads that to its end


def test_secrets_that_new_tables_name_are_there_before_them(sides: Sides) -> None:
    sides.news()
    (sides.gateway / "secrets/auth+3").write_text("n" * 43)
    sides.tables(2, AuthRow(pepper="secrets/auth+3"))
    assert [one.path for one in sides.news()] == ["secrets/auth+3", "snapshot.json"]
    assert sides.turns == 2


def test_a_file_that_is_gone_stays_there(sides: Sides) -> None:
    sides.news()
    (sides.gateway / "identity/service-key").unlink()
    assert sides.news() == []
    assert (sides.worker / "identity/service-key").exists()


def test_it_counts_while_the_gateway_gives_its_word(sides: Sides) -> None:
    sides.news()
    assert not sides.handed.is_fresh
    sides.asked_and_answered(1)
    assert sides.handed.is_fresh
    sides.now += LAPSE_S - 0.1
    assert sides.handed.is_fresh
    sides.now += 0.1
    assert not sides.handed.is_fresh
    sides.asked_and_answered(1)
    assert sides.handed.is_fresh


def test_a_word_counts_from_when_it_was_asked_for(sides: Sides) -> None:
    """However long it was on its way: a stream that is held up says nothing of now."""
    sides.news()
    sides.handed.say(1, has_all=True)
    asked = sides.heard()
    assert asked
    for _ in range(int(LAPSE_S)):
        sides.now += 1
        sides.handed.say(1, has_all=True)
    sides.word(asked)
    sides.handed.say(1, has_all=True)
    assert not sides.handed.is_fresh
    sides.word()
    sides.handed.say(1, has_all=True)
    assert sides.handed.is_fresh
    sides.now += LAPSE_S - 0.1
    sides.word(asked)  # says nothing new
    sides.now += 0.1
    assert not sides.handed.is_fresh


def test_a_word_that_nobody_asked_for_does_not_count(sides: Sides) -> None:
    sides.news()
    for _ in range(3):
        sides.word(0)
        sides.handed.say(1, has_all=True)
    assert not sides.handed.is_told
    assert not sides.handed.is_fresh


def test_tables_that_are_not_taken_over_end_it(sides: Sides) -> None:
    sides.news()
    sides.asked_and_answered(1)
    sides.tables(2)
    sides.news()
    for _ in range(6):
        sides.asked_and_answered(1)
        sides.now += 1
    assert sides.handed.is_told  # a worker that has none yet may begin with other ones
    assert not sides.handed.is_fresh
    sides.handed.say(2, has_all=True)
    assert sides.handed.is_fresh


def test_a_directory_that_is_still_being_read_does_not_count(sides: Sides) -> None:
    sides.news()
    sides.asked_and_answered(1)
    sides.now += LAPSE_S
    for _ in range(3):
        sides.asked_and_answered(1, has_all=False)
        assert not sides.handed.is_fresh
    sides.handed.say(1, has_all=True)
    assert sides.handed.is_fresh


def test_another_gateway_is_refused_while_the_first_one_is_there(sides: Sides) -> None:
    other = packed(msgspec.structs.replace(HELLO, gateway_id="other"))
    sides.news()
    sides.asked_and_answered(1)
    link, wire = sides.connected()
    assert not sides.wire.let_go
    link.data_received(other)
    assert wire.let_go
    assert not sides.wire.let_go
    assert not sides.handed.outdated
    sides.now += LAPSE_S
    link, _ = sides.connected()
    link.data_received(other)
    assert sides.handed.outdated
    assert not sides.handed.is_fresh


def test_the_latest_connection_that_greets_counts(sides: Sides) -> None:
    sides.news()
    link, wire = sides.connected()
    assert not sides.wire.let_go
    link.data_received(packed(HELLO))
    assert sides.wire.let_go
    assert not wire.let_go


def test_one_that_does_not_greet_changes_nothing(sides: Sides) -> None:
    sides.send(Put("snapshot.json", b"half", last=False))
    link, wire = sides.connected()
    link.data_received(packed(Put("snapshot.json", b"another", last=True)))
    assert wire.let_go
    assert not sides.wire.let_go
    sides.send(Put("snapshot.json", b" and half", last=True))
    assert (sides.worker / "snapshot.json").read_bytes() == b"half and half"


def test_other_services_of_the_same_gateway_take_a_new_start(sides: Sides) -> None:
    sides.news()
    for counters, outdated in ((HELLO.counters, False), ("redis://elsewhere.test", True)):
        link, _ = sides.connected()
        link.data_received(packed(msgspec.structs.replace(HELLO, counters=counters)))
        assert sides.handed.outdated is outdated


def test_another_directory_is_seen_also_where_it_gets_the_place_of_the_one_before(sides: Sides) -> None:
    """A file system gives the number of a removed file to the next one."""
    sides.news()
    for byte in (b"n", b"m", b"o"):
        (sides.gateway / ROWS).unlink()
        (sides.gateway / ROWS).write_bytes(byte * (2 * PIECE_BYTES + 5))
        assert sides.news()
        assert sides.same()


@pytest.mark.parametrize("path", ["lock", "../x", "secrets/../lock"])
def test_no_other_file_is_written(path: str, sides: Sides) -> None:
    for message in (Put(path, b"x", last=True), Add(path, b"x")):
        sides.link, wire = sides.connected()
        sides.send(HELLO, message)
        assert wire.let_go
    assert not (sides.worker / "lock").exists()
