"""What the store answers: sums equal to those of a computation here, one tenant's alone, page after page."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_rows import DAY_S, MONTH_S, answers, ask, empty, opened, put, row

from headgate.usage_questions import (
    Dimension,
    Export,
    ExportedRow,
    ExportEnd,
    Failure,
    SumRow,
    Sums,
    SumsAnswer,
    Width,
)
from ledger.rows import Row
from ledger.store.client import Store
from ledger.store.questions import Questions

BEGIN_S, END_S = MONTH_S - DAY_S, MONTH_S + DAY_S
COUNTS = (
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "units",
    "price_nano",
)
NASTY = (
    "' OR 1=1 --",
    "\\' OR tenant != '",
    "'; DROP TABLE requests; --",
    "{v0:String}",
    "$v0$",
    "\x00\n\t\u2028é%",
    "acme' UNION ALL SELECT * FROM requests --",
)


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with opened(tmp_path_factory.mktemp("state") / "usage") as store:
        yield store


@pytest.fixture
def store(module_store: Store) -> Store:
    empty(module_store)
    return module_store


def sums(store: Store, tenant: str | None = "acme", **more: Any) -> list[SumRow]:
    question = Sums(**{"tenant": tenant, "since_s": BEGIN_S, "until_s": END_S} | more)
    (answer,) = ask(store, question)
    assert isinstance(answer, SumsAnswer), answer
    assert answer.next is None
    return answer.rows


def exported(store: Store, tenant: str | None = "acme", **more: Any) -> list[str]:
    *found, end = ask(store, Export(**{"tenant": tenant, "since_s": BEGIN_S, "until_s": END_S} | more))
    assert isinstance(end, ExportEnd), end
    return [one.request_id for one in found if isinstance(one, ExportedRow)]


# A few values of each, so that rows meet in groups.
_numbers = st.integers(0, 3) | st.integers(0, 2**40)
_rows = st.builds(
    row,
    request_id=st.uuids().map(str),
    began_ms=st.integers(BEGIN_S * 1000, END_S * 1000 - 1)
    | st.sampled_from([MONTH_S * 1000, MONTH_S * 1000 - 1, BEGIN_S * 1000, MONTH_S * 1000 + 3_600_000]),
    tenant=st.sampled_from(["acme", "beta", ""]),
    model=st.sampled_from(["chat", "big", NASTY[0]]),
    provider=st.sampled_from(["", "openai"]),
    key_id=st.sampled_from(["k1", "k2"]),
    user=st.sampled_from(["", "jo", NASTY[1]]),
    unit=st.sampled_from(["", "image"]),
    estimated=st.booleans(),
    requests=st.integers(0, 1),
    cost=st.none() | st.decimals(0, 10**6, places=18, allow_nan=False),
    **dict.fromkeys(COUNTS[1:], _numbers),
)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Row]]:
    """Rows in two batches; some of the first are taken back in the second."""
    first = draw(st.lists(_rows, min_size=1, max_size=12))
    back = [msgspec.structs.replace(one, sign=-1) for one in first if draw(st.booleans())]
    return [first, back + draw(st.lists(_rows, min_size=1, max_size=6))]


_DIMENSIONS: tuple[Dimension, ...] = ("tenant", "model", "provider", "key_id", "user", "unit", "estimated")
_questions = st.builds(
    Sums,
    tenant=st.sampled_from(["acme", "beta", None]),
    since_s=st.sampled_from([BEGIN_S, BEGIN_S + 3_600, BEGIN_S + 60, BEGIN_S + 1, MONTH_S]),
    until_s=st.sampled_from([END_S, END_S - 3_600, END_S - 60, END_S - 1, MONTH_S + 3_600]),
    width=st.sampled_from([None, "minute", "hour", "day", "month"]),
    by=st.lists(st.sampled_from(_DIMENSIONS), unique=True, max_size=3).map(tuple),
    where=st.fixed_dictionaries(
        {},
        optional={
            "model": st.just(("chat", NASTY[0])),
            "estimated": st.sampled_from([("true",), ("false", "true")]),
            "user": st.just((NASTY[1],)),
        },
    ),
)


@given(stored=batches(), asked=st.lists(_questions, min_size=6, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sums_are_those_of_a_computation_here(
    module_store: Store, stored: list[list[Row]], asked: list[Sums]
) -> None:
    empty(module_store)
    for batch in stored:
        put(module_store, batch)
    rows = [one for batch in stored for one in batch]
    for question in asked:
        (answer,) = ask(module_store, question)
        assert isinstance(answer, SumsAnswer)
        assert answer.rows == computed(rows, question), question


def computed(rows: list[Row], question: Sums) -> list[SumRow]:
    totals: dict[tuple[int, tuple[str, ...]], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for one in rows:
        values = {name: text(one, name) for name in _DIMENSIONS}
        is_asked = all(values[name] in wanted for name, wanted in question.where.items())
        if not is_asked or question.tenant not in (None, one.tenant):
            continue
        if question.since_s * 1000 <= one.began_ms < question.until_s * 1000:
            bucket = start(one.began_ms // 1000, question.width, question.since_s)
            total = totals[bucket, tuple(values[name] for name in question.by)]
            for name in COUNTS:
                total[name] += one.sign * getattr(one, name)
            total["estimated_requests"] += one.sign * one.requests * one.estimated
            total["cost"] += one.sign * (one.cost or Decimal(0))
            total["costed"] += one.sign * (one.cost is not None)
    found = []
    for (bucket, group), total in sorted(totals.items(), key=lambda item: (item[0][0], encoded(item[0][1]))):
        cost = total["cost"] if total["costed"] else None
        if any(total.values()):
            del total["cost"], total["costed"]
            names: Mapping[Dimension, str] = dict(zip(question.by, group, strict=True))
            found.append(SumRow(start_s=bucket, group=dict(names), cost=cost, **total))
    return found


def text(one: Row, name: Dimension) -> str:
    value = getattr(one, name)
    return value if isinstance(value, str) else str(value).lower()


def encoded(group: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(value.encode() for value in group)


def start(began_s: int, width: Width | None, since_s: int) -> int:
    if width is None:
        return since_s
    if width == "month":
        return MONTH_S if began_s >= MONTH_S else previous_month()
    seconds = {"minute": 60, "hour": 3_600, "day": DAY_S}[width]
    return began_s // seconds * seconds


def previous_month() -> int:
    last = dt.datetime.fromtimestamp(MONTH_S - 1, dt.UTC)
    return int(last.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


def test_what_was_taken_back_and_charged_anew_counts_once(store: Store) -> None:
    estimate = row("r1", reason="lost", estimated=True, prompt_tokens=100, price_nano=900, cost=Decimal("0.1"))
    put(store, [estimate])
    put(store, [msgspec.structs.replace(estimate, sign=-1), row("r1", prompt_tokens=70, price_nano=5)])
    (total,) = sums(store)
    assert (total.requests, total.estimated_requests, total.prompt_tokens, total.price_nano) == (1, 0, 70, 5)
    assert total.cost is None  # nobody has said what the one that counts has cost
    assert sums(store, by=("estimated",))[0].group == {"estimated": "false"}
    assert exported(store) == ["r1"] * 3


def test_a_tenant_sees_itself_alone(store: Store) -> None:
    tenants = ["acme", "acme2", "Acme", "acme ", "", "beta", *NASTY]
    put(store, [row(f"of {tenant}", tenant=tenant, prompt_tokens=2**index) for index, tenant in enumerate(tenants)])
    for index, tenant in enumerate(tenants):
        for since_s in (BEGIN_S, BEGIN_S + 1):  # from a rollup, and from the requests
            (total,) = sums(store, tenant, by=("tenant",), since_s=since_s)
            assert (total.group, total.prompt_tokens) == ({"tenant": tenant}, 2**index)
            others = tuple(set(tenants) - {tenant})
            assert sums(store, tenant, where={"tenant": others}, since_s=since_s) == []
        assert exported(store, tenant) == [f"of {tenant}"]
    assert len(sums(store, None, by=("tenant",))) == len(exported(store, None)) == len(tenants)
    assert sums(store, "nobody") == exported(store, "nobody") == []


@pytest.mark.parametrize("name", ["model", "provider", "upstream_model", "key_id", "user", "project", "variant"])
def test_names_are_values_and_never_sql(store: Store, name: Dimension) -> None:
    put(store, [row(f"{index}", **{name: value}) for index, value in enumerate(NASTY)])
    assert {total.group[name] for total in sums(store, by=(name,))} == set(NASTY)
    for index, value in enumerate(NASTY):
        (total,) = sums(store, where={name: (value,)}, by=(name,))
        assert (total.group, total.requests) == ({name: value}, 1)
        assert exported(store, where={name: (value,)}) == [str(index)]
    assert sums(store, where={name: ("x') OR ('1'='1",)}) == []
    assert len(exported(store)) == len(NASTY)


def test_pages_have_everything_once_while_rows_arrive(store: Store) -> None:
    known = {f"r{index:03}" for index in range(50)}
    put(store, [row(name, user=name, began_ms=MONTH_S * 1000 + int(name[1:]) % 7) for name in known])
    question = Sums(tenant="acme", since_s=BEGIN_S, until_s=END_S, by=("user",), width="hour", limit=7)
    export = Export(tenant="acme", since_s=BEGIN_S, until_s=END_S, limit=7)
    users: list[str] = []
    requests: list[str] = []
    for page in range(20):
        if question.after is not None or not page:
            (answer,) = ask(store, question)
            assert isinstance(answer, SumsAnswer)
            users += [total.group["user"] for total in answer.rows]
            question = msgspec.structs.replace(question, after=answer.next)
        if export.after is not None or not page:
            *found, end = ask(store, export)
            assert isinstance(end, ExportEnd)
            requests += [one.request_id for one in found if isinstance(one, ExportedRow)]
            export = msgspec.structs.replace(export, after=end.next)
        put(store, [row(f"new {page}", user=f"r{page:03}x", began_ms=MONTH_S * 1000 + page % 7)])
    assert question.after is export.after is None
    for found_names in (users, requests):
        assert len(set(found_names)) == len(found_names)
        assert known <= set(found_names)
    assert users == sorted(users)


def test_an_export_page_ends_between_rows_of_one_request(store: Store) -> None:
    estimate = row("r1", reason="lost")
    put(store, [estimate, msgspec.structs.replace(estimate, sign=-1), row("r1"), row("r2")])
    found, question = [], Export(tenant=None, since_s=BEGIN_S, until_s=END_S, limit=1)
    for _ in range(5):
        *some, end = ask(store, question)
        assert isinstance(end, ExportEnd)
        found += [(one.request_id, one.sign, one.reason) for one in some if isinstance(one, ExportedRow)]
        question = msgspec.structs.replace(question, after=end.next)
    assert sorted(found) == [("r1", -1, "lost"), ("r1", 1, ""), ("r1", 1, "lost"), ("r2", 1, "")]
    assert question.after is None


def test_an_exported_row_is_what_the_ledger_made(store: Store) -> None:
    made = row(
        "r1",
        provider_key="spare",
        streamed=True,
        cost=Decimal("0.000000000000000001"),
        price_nano=2**62,
        first_token_ms=7,
        flags="DC",
        trace_id="a" * 32,
        ended_ms=MONTH_S * 1000 + 1,
    )
    put(store, [made])
    found, _end = ask(store, Export(tenant="acme", since_s=BEGIN_S, until_s=END_S))
    kept = msgspec.structs.asdict(made)
    del kept["kept_until_s"]
    assert isinstance(found, ExportedRow)
    assert msgspec.structs.asdict(found) == kept


def test_until_now_is_answered_from_the_smallest_table(store: Store) -> None:
    put(store, [row("r1"), row("r2", began_ms=MONTH_S * 1000 + 5_000)])
    with store.client() as client:
        client.command("TRUNCATE TABLE requests")
    now_s = MONTH_S + 6.5
    (answer,) = ask(store, Sums(tenant="acme", since_s=MONTH_S, until_s=MONTH_S + 7), now_s)
    assert isinstance(answer, SumsAnswer)
    assert [total.requests for total in answer.rows] == [2]


USUAL: dict[str, Any] = {"ask": "sums", "tenant": "acme", "since_s": BEGIN_S, "until_s": END_S}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"since_s": END_S}, "since_s < until_s"),
        ({"since_s": -1}, "0 <= since_s"),
        ({"until_s": 2**40}, "until_s <="),
        ({"since_s": 1.5}, "no question"),
        ({"limit": 0}, "limit: needs 1 to 10000"),
        ({"limit": 10_001}, "limit"),
        ({"by": ["model", "model"]}, "by: names a dimension twice"),
        ({"by": ["model; DROP TABLE requests"]}, "no question: Invalid enum value"),
        ({"by": ["price_nano"]}, "no question: Invalid enum value"),
        ({"width": "1 DAY)"}, "no question: Invalid enum value"),
        ({"where": {"1=1": ["x"]}}, "no question: Invalid enum value"),
        ({"where": {"model": []}}, "where.model: needs 1 to 1000 values"),
        ({"where": {"model": ["m"] * 1_001}}, "where.model"),
        ({"where": {"model": ["m" * 4_097]}}, "longer than 4096"),
        ({"where": {"model": ["m" * 4_096] * 15}}, "longer than 60000 bytes in all"),
        ({"tenant": "t" * 4_097}, "tenant: is longer than 4096"),
        ({"where": {"estimated": ["1"]}}, "true and false"),
        ({"after": "AAAA"}, "after: is no earlier answer's next"),
        ({"after": "é"}, "after: is no earlier answer's next"),
        ({"tenants": "acme"}, "no question"),
        ({"tenant": 1}, "no question"),
        ({"ask": "everything"}, "no question"),
    ],
)
def test_what_is_no_question_is_refused(store: Store, changes: dict[str, Any], says: str) -> None:
    line = msgspec.json.encode(USUAL | changes)
    questions = Questions(store)
    (answer,) = asyncio.run(answers(questions, line))
    questions.close()
    assert isinstance(answer, Failure)
    assert answer.kind == "invalid"
    assert says in answer.error


def test_a_place_is_of_its_question_alone(store: Store) -> None:
    put(
        store,
        [row(f"r{index}", tenant=tenant, model=f"m{index}") for index, tenant in enumerate(["acme", "beta"] * 3)],
    )
    question = Sums(tenant="acme", since_s=BEGIN_S, until_s=END_S, by=("model",), limit=1)
    (answer,) = ask(store, question)
    assert isinstance(answer, SumsAnswer)
    for other in ({"tenant": "beta"}, {"by": ("user",)}, {"since_s": BEGIN_S + 60}, {"where": {"model": ("m0",)}}):
        stolen = msgspec.structs.replace(question, after=answer.next, **other)
        (refused,) = ask(store, stolen)
        assert isinstance(refused, Failure)
        assert refused.kind == "invalid"
    (more,) = ask(store, msgspec.structs.replace(question, after=answer.next, limit=5))
    assert isinstance(more, SumsAnswer)
    assert [total.group["model"] for total in more.rows] == ["m2", "m4"]


def test_a_question_that_is_too_much_is_refused_and_the_store_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, [row(f"r{index}") for index in range(100)])
    question = Sums(tenant="acme", since_s=BEGIN_S, until_s=END_S)
    monkeypatch.setattr("ledger.store.questions.SETTINGS", {"max_rows_to_read": 1})
    (answer,) = ask(store, msgspec.structs.replace(question, since_s=BEGIN_S + 1))
    assert isinstance(answer, Failure)
    assert answer.kind == "too_much"
    assert store.standing.state == "up"
    monkeypatch.undo()
    assert sums(store)[0].requests == 100


def test_a_page_that_would_be_too_long_is_two(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, [row(f"r{index}", user=f"{index}" + "\x01" * 500) for index in range(9)])
    monkeypatch.setattr("ledger.store.questions.PAGE_BYTES", 8_000)
    question = Sums(tenant="acme", since_s=BEGIN_S, until_s=END_S, by=("user",))
    users: list[str] = []
    while True:
        (answer,) = ask(store, question)
        assert isinstance(answer, SumsAnswer)
        assert 1 <= len(answer.rows) < 4
        users += [total.group["user"][0] for total in answer.rows]
        if answer.next is None:
            break
        question = msgspec.structs.replace(question, after=answer.next)
    assert users == [str(index) for index in range(9)]


def test_where_nothing_was_ever_stored_there_is_nothing_and_no_folder(tmp_path: Path) -> None:
    never = Store(None, tmp_path / "usage", lambda _client: None)
    (answer,) = ask(never, Sums(tenant=None, since_s=0, until_s=1))
    assert answer == SumsAnswer(rows=[], next=None, stored_until_ms=0)
    assert not (tmp_path / "usage").exists()
