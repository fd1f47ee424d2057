"""Rows are gathered for chdb until somebody asks for them, or there is a whole block."""

import asyncio
import threading

import msgspec
import pytest

from headgate.usage_questions import Sums, SumsAnswer
from ledger.store import writer
from ledger.store.client import Store, StoreAway
from ledger.store.questions import Questions
from tests.store.made_rows import NOVEMBER_MS, make_rows, sums_of
from tests.store.place import Place, in_all

DAYS = Sums(tenant=None, since_s=NOVEMBER_MS // 1000 - 86_400, until_s=NOVEMBER_MS // 1000 + 2 * 86_400)


def test_rows_that_nobody_asks_for_are_gathered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BLOCK_ROWS", 300)
    first, second, third = (make_rows(seed, 200) for seed in (91, 92, 93))
    one = place.new_writer()
    place.journal.append(first)
    one.step(is_asked=False)
    assert place.sums() == in_all(first), "nothing was stored lately"
    place.journal.append(second)
    one.step(is_asked=False)
    assert place.sums() == in_all(first)
    place.journal.append(third)
    while one.step(is_asked=False):
        pass
    assert place.sums() == in_all(first + second + third), "a whole block"


def test_a_clickhouse_gets_its_rows_unasked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FENCE_S", 0.0)
    monkeypatch.setattr(Store, "is_embedded", False)
    rows, one = make_rows(94, 200), place.new_writer()
    for some in (rows[:100], rows[100:]):
        place.journal.append(some)
        one.step(is_asked=False)
    assert place.sums() == in_all(rows)


def test_a_question_has_what_waits_in_its_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LOOK_EVERY_S", 3_600.0)
    monkeypatch.setattr(writer, "FRESH_WITHIN_S", 60.0)
    rows, one, heard = make_rows(95, 200), place.new_writer(), list[str]()
    questions = Questions(place.store, freshen=one.freshen)

    def told() -> int:
        async def ask() -> bytes:
            return b"".join([line async for line in questions.answer(msgspec.json.encode(DAYS))])

        return sum(row.requests for row in msgspec.json.decode(asyncio.run(ask()), type=SumsAnswer).rows)

    place.journal.append(rows[:100])
    thread = threading.Thread(target=one.run, kwargs={"before": lambda: heard.append("before")})
    thread.start()
    try:
        assert told() == sums_of(rows[:100])["requests"]
        place.journal.append(rows[100:])
        assert told() == sums_of(rows)["requests"]
        assert heard == ["before", "before"]
    finally:
        one.rounds.stop()
        thread.join()
        questions.close()


def test_no_question_waits_for_a_writer_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "AGAIN_S", 3_600.0)
    monkeypatch.setattr(writer, "FRESH_WITHIN_S", 3_600.0)
    one, failed = place.new_writer(), threading.Event()

    def fail(**_: bool) -> bool:
        failed.set()
        raise StoreAway("away")

    monkeypatch.setattr(one, "step", fail)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        assert failed.wait(60)
        one.freshen()
    finally:
        one.rounds.stop()
        thread.join()
