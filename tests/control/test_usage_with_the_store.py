"""The answers about usage over the real store are those over a list of rows, page by page, whatever is asked for."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from usage_asking import DAY_S, Api, Caller
from usage_rows import RowStore, row

from control.usage_api import app as usage_app
from control.usage_api.kinds import KINDS
from headgate.usage_questions import Sums, SumsAnswer
from ledger.rows import Row
from ledger.store.batches import insert, months, next_batch, roll_up
from ledger.store.client import Store
from ledger.store.migrations import bring_up, migrations
from ledger.store.questions import Questions

SURFACES = ("chat", "completions", "embeddings", "images", "image_edits", "speech", "transcriptions", "rerank", "")
NAMES = ("", "a", "b", "c, d", "ünï'\\")
UNITS = ("", "image", "character", "second", "search")


class OverStore(Api):
    """`questions` answers in the rows' place."""

    questions: Questions

    async def ask(self, question: Sums) -> SumsAnswer:
        async for line in self.questions.answer(msgspec.json.encode(question)):
            return msgspec.json.decode(line, type=SumsAnswer)
        raise AssertionError


def some_rows(chance: random.Random, now_s: int) -> list[Row]:
    return [
        row(
            now_s - chance.randrange(3 * DAY_S),
            request_id=str(number),
            tenant=chance.choice(("acme", "other", "")),
            surface=chance.choice(SURFACES),
            unit=chance.choice(UNITS),
            units=chance.randrange(9),
            estimated=chance.random() < 0.2,
            requests=chance.randrange(2),
            **{name: chance.choice(NAMES) for name in ("user", "project", "key_id", "model")},
            **{
                name: chance.randrange(10**6)
                for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "price_nano")
            },
        )
        for number in range(400)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(None, tmp_path / "usage", lambda client: bring_up(client, migrations()))
    yield made
    made.close()


def put(store: Store, rows: list[Row]) -> None:
    with store.client() as client:
        for batch in months(rows):
            number, times = next_batch(client, 0), [one.began_ms for one in batch]
            insert(client, batch, "gateway", number)
            roll_up(client, (min(times), max(times)), "gateway", number)


async def test_whole_days_are_told_when_their_requests_are_not_kept_any_more(store: Store) -> None:
    now_s = int(time.time())
    since_s = now_s - now_s % DAY_S - 3 * DAY_S
    put(store, [row(since_s + 7200 * number, request_id=str(number), price_nano=10**9) for number in range(36)])
    with store.client() as client:
        client.command("TRUNCATE TABLE requests")
    api = OverStore(RowStore(), now_s=now_s)
    api.questions = Questions(store)
    query = ("start_time", since_s + 5), ("end_time", since_s + 3 * DAY_S)
    days = await Caller(api).buckets("costs", *query)
    assert [sum(one["amount"]["value"] for one in day["results"]) for day in days] == [0, 12, 12]
    api.questions.close()


def a_query(chance: random.Random, kind: str, now_s: int) -> list[tuple[str, Any]]:
    known, width = KINDS[kind], "1d" if kind == "costs" else chance.choice(("1d", "1h", "1m"))
    ago_s = chance.randrange(3600 if width == "1m" else 3 * DAY_S)
    query: list[tuple[str, Any]] = [
        ("start_time", now_s - ago_s),
        ("bucket_width", width),
        ("limit", chance.randint(1, 20)),
    ]
    if chance.random() < 0.5:
        query.append(("end_time", now_s - chance.randrange(ago_s) if ago_s else now_s + 1))
    groups = [*known.groups, "tenant_id"]
    query += [("group_by", name) for name in chance.sample(groups, chance.randint(0, len(groups)))]
    for name in known.filters:
        if chance.random() < 0.2:
            query += [(name, value) for value in chance.sample(NAMES[1:], 2)]
    return query


async def test_they_are_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(8)  # noqa: S311 - the same rows each time
    now_s = int(time.time())  # the store forgets what is old
    rows = some_rows(chance, now_s)
    put(store, rows)
    apis = Api(RowStore(rows), now_s=now_s), OverStore(RowStore(), now_s=now_s)
    apis[1].questions = Questions(store)
    buckets = 0
    for _ in range(60):
        kind, most = chance.choice(list(KINDS)), chance.choice((1, 3, 2000))
        monkeypatch.setattr(usage_app, "MOST_RESULTS", most)
        query = a_query(chance, kind, now_s)
        tenant: dict[str, Any] = chance.choice(({}, {}, {"tenant": "other"}, {"tenant": None, "role": "admin"}))
        of_rows, of_store = [await Caller(api, **tenant).buckets(kind, *query) for api in apis]
        assert of_rows == of_store, (kind, query, tenant)
        buckets += len(of_rows)
    apis[1].questions.close()
    assert buckets > 300
