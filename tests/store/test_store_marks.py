"""Marks of what was stored: they stay whatever is killed, and go where the store was put back or made anew."""

import asyncio
import shutil
from pathlib import Path

import msgspec

from headgate.usage_questions import Mark, Marks, MarksAnswer
from ledger.store.marks import has_mark, stored_marks
from ledger.store.migrations import bring_up, migrations
from ledger.store.questions import Questions
from ledger.store.schema import GATEWAYS
from ledger.store.writer import Writer
from tests.store.made_rows import NOVEMBER_MS, make_rows
from tests.store.place import GATEWAY, Place

DAY_MS = 86_400_000


def stored(place: Place, seed: int, writer: Writer | None = None) -> tuple[Writer, Mark]:
    """Some rows of November more, and the mark that they leave."""
    place.journal.append(make_rows(seed, 50, NOVEMBER_MS + DAY_MS))
    writer = writer or place.new_writer()
    while writer.step():
        pass
    assert writer.mark
    return writer, writer.mark


def has(place: Place, mark: Mark) -> bool:
    with place.store.client() as client:
        return has_mark(client, mark)


def put_back(place: Place, copy: Path) -> None:
    place.store.close()
    shutil.rmtree(place.folder / "usage")
    shutil.copytree(copy, place.folder / "usage", symlinks=True)


def copied(place: Place, name: str = "copy") -> Path:
    place.store.close()
    return Path(shutil.copytree(place.folder / "usage", place.folder / name, symlinks=True))


def test_each_month_of_a_gateway_is_marked(place: Place) -> None:
    place.journal.append(make_rows(71, 2_000, every_ms=1_000))
    place.write_all()
    with place.store.client() as client:
        found = stored_marks(client)
    assert {(mark.gateway, mark.month) for mark in found} == {(GATEWAY, 202610), (GATEWAY, 202611)}


def test_a_mark_is_there_as_long_as_its_rows_are(place: Place) -> None:
    writer, first = stored(place, 72)
    _, second = stored(place, 73, writer)
    _, third = stored(place, 74)
    assert (first.run, second.run) == (first.batch, first.batch)
    assert third.run > second.batch, "another process, another run"
    place.reopen()
    assert all(has(place, mark) for mark in (first, second, third))


def test_a_store_that_is_put_back_lacks_what_came_after_the_copy(place: Place) -> None:
    _, kept = stored(place, 75)
    copy = copied(place)
    _, lost = stored(place, 76)
    put_back(place, copy)
    place.reopen()
    assert (has(place, kept), has(place, lost)) == (True, False)
    _, later = stored(place, 77)
    assert later.batch > lost.batch
    assert not has(place, lost), "what is written afterwards hides nothing"


def test_a_store_that_is_put_back_under_its_writer(place: Place) -> None:
    writer, kept = stored(place, 78)
    copy = copied(place)
    _, lost = stored(place, 79, writer)
    assert lost.run == kept.run
    put_back(place, copy)
    _, later = stored(place, 80, writer)
    assert (has(place, kept), has(place, lost), has(place, later)) == (True, False, True)


def test_a_store_that_is_made_anew_has_none(place: Place) -> None:
    _, lost = stored(place, 81)
    place.store.close()
    shutil.rmtree(place.folder / "usage")
    place.reopen()
    stored(place, 82)
    assert not has(place, lost)


def test_a_writer_that_was_killed_before_its_mark_leaves_it_to_the_next(place: Place) -> None:
    _, mark = stored(place, 83)
    with place.store.client() as client:
        client.command(f"ALTER TABLE {GATEWAYS} DELETE WHERE 1 SETTINGS mutations_sync = 1")
    _, next_mark = stored(place, 84)
    with place.store.client() as client:
        found = {(one.run, one.batch) for one in stored_marks(client)}
    assert found == {(mark.batch, mark.batch), (next_mark.run, next_mark.batch)}


def test_gateways_of_before_are_known(place: Place) -> None:
    place.journal.append(make_rows(85, 2_000, every_ms=1_000))
    place.write_all()
    with place.store.client() as client:
        client.command(f"DROP TABLE {GATEWAYS} SYNC")
        client.command("ALTER TABLE schema_versions DELETE WHERE version > 1 SETTINGS mutations_sync = 1")
        assert not bring_up(client, migrations())
        assert [(mark.gateway, mark.run, mark.month) for mark in stored_marks(client)] == [
            (GATEWAY, 0, 202610),
            (GATEWAY, 0, 202611),
        ]


def test_the_question(place: Place) -> None:
    writer, mark = stored(place, 86)
    questions = Questions(place.store, own=lambda: (writer.gateway, writer.mark))

    def asked(**said: bool) -> MarksAnswer:
        async def ask() -> bytes:
            return b"".join([line async for line in questions.answer(msgspec.json.encode(Marks(**said)))])

        return msgspec.json.decode(asyncio.run(ask()), type=MarksAnswer)

    assert asked() == MarksAnswer(gateway=GATEWAY, own=mark, stored=[])
    assert asked(stored=True) == MarksAnswer(gateway=GATEWAY, own=mark, stored=[mark])
    questions.close()
