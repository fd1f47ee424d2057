"""Usage and costs in OpenAI's shape: what is in which bucket, group and page, and that any answer is as specified."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from usage_asking import DAY_S, NOW_S, TODAY_S, Api, Caller, error_of
from usage_rows import RowStore, row

from control.usage_api import app as usage_app
from control.usage_api.kinds import KINDS
from extproc.surfaces import BY_NAME
from headgate.usage_questions import Failure
from ledger.rows import Row
from tests.openai_spec.spec import answer_problems

MONDAY_S = TODAY_S - 2 * DAY_S  # 2023-11-13
SUMMED = ("input_tokens", "output_tokens", "num_model_requests", "images", "characters", "seconds", "amount")


def results(buckets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [result for bucket in buckets for result in bucket["results"]]


def summed(buckets: list[dict[str, Any]], name: str) -> Any:
    found = [result[name] for result in results(buckets)]
    return sum((Decimal(str(one["value"])) if isinstance(one, dict) else one for one in found), 0)


def test_every_surface_that_is_charged_is_of_one_kind() -> None:
    """Rankings are no kind of OpenAI's: costs have them."""
    kinds = [surface for kind in KINDS.values() for surface in kind.surfaces or ()]
    charged = {name for name, surface in BY_NAME.items() if not surface.is_free}
    assert sorted(kinds) == sorted(charged - {"rerank", "models", ""})


async def test_a_completions_result_has_all_that_is_known() -> None:
    tokens = {"prompt_tokens": 1000, "cached_tokens": 400, "cache_write_tokens": 100, "completion_tokens": 500}
    api = Api(RowStore([row(MONDAY_S + 5, **tokens, user="ann", project="p", reasoning_tokens=7), row(NOW_S)]))
    answer = await Caller(api).get("/v1/organization/usage/completions", ("start_time", MONDAY_S), ("limit", 1))
    assert answer.headers["x-headgate-usage-until"] == "2030-01-01T00:00:00.000Z"
    assert answer.headers["x-request-id"] == "req-1"
    page = answer.json()
    assert page.pop("next_page").startswith("page_")
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "input_cached_tokens": 400,
        "input_cache_write_tokens": 100,
        "input_uncached_tokens": 500,
        "output_tokens": 500,
        "num_model_requests": 1,
        **dict.fromkeys(("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")),
    }
    bucket = {"object": "bucket", "start_time": MONDAY_S, "end_time": MONDAY_S + DAY_S, "results": [result]}
    assert page == {"object": "page", "data": [bucket], "has_more": True}


async def test_groups_and_their_nulls() -> None:
    said = {"user": "ann", "project": "p"}
    api = Api(RowStore([row(NOW_S, **said, prompt_tokens=2), row(NOW_S, prompt_tokens=3), row(NOW_S, key_id="k2")]))
    groups = [("group_by[]", name) for name in ("project_id", "user_id", "api_key_id", "model", "batch")]
    found = results(await Caller(api).buckets("usage/completions", ("start_time", TODAY_S), *groups))
    told = {tuple(one[name] for _, name in groups): one["input_tokens"] for one in found}
    assert told == {
        ("p", "ann", "ci", "chat", False): 2,
        (None, None, "ci", "chat", False): 3,
        (None, None, "k2", "chat", False): 0,
    }


async def test_filters() -> None:
    names = ("project", "user", "key_id", "model")
    rows = [
        row(NOW_S, **dict(zip(names, each, strict=True)))
        for each in itertools.product(("p", "q"), ("a", "b"), ("k", "l"), ("m", "n"))
    ]
    caller = Caller(Api(RowStore(rows)))
    params = dict(zip(names, ("project_ids", "user_ids", "api_key_ids", "models"), strict=True))
    for count in range(1, 5):
        for chosen in itertools.combinations(names, count):
            query = [(params[name], getattr(rows[0], name)) for name in chosen]
            found = await caller.buckets("usage/completions", ("start_time", TODAY_S), *query)
            assert summed(found, "num_model_requests") == 16 / 2**count
    both = await caller.buckets("usage/completions", ("start_time", TODAY_S), ("models", "m"), ("models[]", "n"))
    assert summed(both, "num_model_requests") == 16
    assert not results(await caller.buckets("usage/completions", ("start_time", TODAY_S), ("models", "' OR 1=1")))


async def test_there_are_no_batches_and_that_is_known() -> None:
    caller = Caller(Api(RowStore([row(NOW_S)])))
    assert not results(await caller.buckets("usage/completions", ("start_time", TODAY_S), ("batch", "true")))
    assert results(await caller.buckets("usage/completions", ("start_time", TODAY_S), ("batch", "false")))


async def test_each_kind_has_its_surfaces_alone() -> None:
    rows = [row(NOW_S, surface=name, prompt_tokens=1, units=4) for name in BY_NAME]
    caller = Caller(Api(RowStore(rows)))
    for name, kind in KINDS.items():
        (result,) = results(await caller.buckets(name, ("start_time", TODAY_S)))
        if kind.surfaces is None:
            continue
        assert result["num_model_requests"] == len(kind.surfaces)
        for unit in {"images", "characters", "seconds"} & result.keys():
            assert result[unit] == 4 * len(kind.surfaces)


async def test_pictures_by_where_they_come_from() -> None:
    rows = [
        row(NOW_S, surface=name, units=n) for n, name in enumerate(("images", "image_edits", "image_variations"), 1)
    ]
    caller = Caller(Api(RowStore(rows)))
    found = results(await caller.buckets("usage/images", ("start_time", TODAY_S), ("group_by", "source")))
    told = {one["source"]: one["images"] for one in found}
    assert told == {"image.generation": 1, "image.edit": 2, "image.variation": 3}
    query = (("start_time", TODAY_S), ("sources", "image.edit"), ("sources", "image.variation"))
    assert summed(await caller.buckets("usage/images", *query), "images") == 5


async def test_costs_are_exact_and_have_line_items() -> None:
    rows = [
        row(NOW_S, price_nano=1, prompt_tokens=3, completion_tokens=4),
        row(NOW_S, price_nano=2_000_000_000, surface="images", model="dall-e", unit="image", units=2),
        row(NOW_S, price_nano=10, surface="rerank", model="r", unit="search", units=5),
        row(NOW_S, requests=0, surface="", model=""),  # refused
    ]
    caller = Caller(Api(RowStore(rows)))
    answer = await caller.get("/v1/organization/costs", ("start_time", TODAY_S))
    assert '"value":2.000000011,' in answer.text
    (result,) = results([answer.json()["data"][-1]])
    nothing = ("line_item", "project_id", "api_key_id", "user_id", "quantity", "quantity_unit")
    assert {name: result[name] for name in nothing} == dict.fromkeys(nothing)
    items = results(await caller.buckets("costs", ("start_time", TODAY_S), ("group_by", "line_item")))
    assert [(one["line_item"], one["quantity"], one["quantity_unit"], one["amount"]) for one in items] == [
        ("chat, chat, tokens", 7, "tokens", {"value": 1e-09, "currency": "usd"}),
        ("dall-e, images, images", 2, "images", {"value": 2, "currency": "usd"}),
        ("r, rerank, searches", 5, None, {"value": 1e-08, "currency": "usd"}),
    ]


async def test_what_was_taken_back_is_not_there() -> None:
    told = {"prompt_tokens": 9, "price_nano": 5}
    rows = [row(NOW_S, **told), row(NOW_S, **told, sign=-1), row(NOW_S, prompt_tokens=4, price_nano=2)]
    found = await Caller(Api(RowStore(rows))).buckets("usage/completions", ("start_time", TODAY_S))
    assert (summed(found, "input_tokens"), summed(found, "num_model_requests")) == (4, 1)


async def test_start_is_inclusive_and_end_exclusive_to_the_second() -> None:
    rows = [row(at_s, prompt_tokens=1) for at_s in range(TODAY_S, TODAY_S + 100)]
    caller = Caller(Api(RowStore(rows)))
    query = (("start_time", TODAY_S + 10), ("end_time", TODAY_S + 70), ("bucket_width", "1m"))
    found = await caller.buckets("usage/completions", *query)
    assert [(one["start_time"] - TODAY_S, one["end_time"] - TODAY_S) for one in found] == [(10, 60), (60, 70)]
    assert [one["results"][0]["input_tokens"] for one in found] == [50, 10]


async def test_whole_buckets_are_asked_for_without_those_that_are_cut_off() -> None:
    """Their sums are kept for longer than the requests that a cut off one is made of."""
    days = [MONDAY_S, MONDAY_S + DAY_S, TODAY_S]
    api = Api(RowStore([row(day_s + at_s, prompt_tokens=1) for day_s in days for at_s in (0, 9, 99)]))
    for since_s, until_s, edges, tokens in (
        (MONDAY_S + 5, TODAY_S + 50, [MONDAY_S + 5, *days[1:], TODAY_S + 50], [2, 3, 2]),
        (MONDAY_S + 5, TODAY_S, [MONDAY_S + 5, *days[1:]], [2, 3]),
        (MONDAY_S, TODAY_S + 50, [MONDAY_S, TODAY_S, TODAY_S + 50], [3, 3, 2]),
        (MONDAY_S + 5, MONDAY_S + 50, [MONDAY_S + 5, MONDAY_S + 50], [1]),
    ):
        api.rows.questions.clear()
        query = (("start_time", since_s), ("end_time", until_s))
        said = (await Caller(api).get("/v1/organization/usage/completions", *query)).json()
        assert [(one.since_s, one.until_s) for one in api.rows.questions] == list(itertools.pairwise(edges))
        assert [one["results"][0]["input_tokens"] for one in said["data"]] == tokens
        assert not said["has_more"]


@pytest.mark.parametrize(
    ("width", "seconds", "usual", "most"), [("1d", DAY_S, 7, 31), ("1h", 3600, 24, 168), ("1m", 60, 60, 1440)]
)
async def test_how_many_buckets_come(width: str, seconds: int, usual: int, most: int) -> None:
    caller, since = Caller(Api(RowStore())), ("start_time", NOW_S - 2000 * seconds)
    for limit, expected in ((None, usual), (1, 1), (most, most)):
        query = [since, ("bucket_width", width), *([("limit", limit)] if limit else [])]
        said = (await caller.get("/v1/organization/usage/embeddings", *query)).json()
        assert (len(said["data"]), said["has_more"]) == (expected, True)


async def test_nothing_is_said_of_time_that_has_not_begun() -> None:
    caller = Caller(Api(RowStore()))
    ahead = await caller.buckets("costs", ("start_time", NOW_S - DAY_S), ("end_time", NOW_S + 99 * DAY_S))
    assert ahead[-1]["end_time"] == TODAY_S + DAY_S
    assert await caller.buckets("costs", ("start_time", NOW_S + 2 * DAY_S)) == []
    assert [one["end_time"] for one in await caller.buckets("costs", ("start_time", TODAY_S))] == [TODAY_S + DAY_S]


KINDS_AND_GROUPS = [(name, group) for name, kind in KINDS.items() for group in (*kind.groups, "tenant_id")]
moments = st.integers(MONDAY_S, NOW_S)
names = st.sampled_from(["", "a", "b", "c, d"])
surfaces = st.sampled_from([*BY_NAME, ""])


@st.composite
def any_row(draw: Any) -> Row:
    counts = {name: draw(st.integers(0, 10**6)) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")}
    dimensions = {name: draw(names) for name in ("user", "project", "key_id", "model")}
    return row(
        draw(moments),
        **counts,
        **dimensions,
        surface=draw(surfaces),
        unit=draw(st.sampled_from(["", "image", "character", "second", "search"])),
        units=draw(st.integers(0, 99)),
        requests=draw(st.integers(0, 1)),
        price_nano=draw(st.integers(0, 10**15)),
        tenant=draw(st.sampled_from(["acme", "other", ""])),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(any_row(), max_size=25), st.data())
async def test_any_answer_is_as_specified_and_pages_are_complete(rows: list[Row], data: st.DataObject) -> None:
    """Pages of any size, also where one bucket does not fit: what they add up to is what there is."""
    kind, group = data.draw(st.sampled_from(KINDS_AND_GROUPS))
    width, seconds = data.draw(st.sampled_from([("1d", DAY_S)] if kind == "costs" else [("1d", DAY_S), ("1h", 3600)]))
    since_s = data.draw(moments)
    api = Api(RowStore(rows, most=data.draw(st.integers(1, 5))))
    caller = Caller(api)
    query = [
        ("start_time", since_s),
        ("bucket_width", width),
        ("group_by", group),
        ("limit", data.draw(st.integers(1, 9))),
    ]
    found, page = [], []
    for _ in range(1000):
        said = (await caller.get(f"/v1/organization/{kind}", *query, *page)).json()
        assert answer_problems(f"GET /organization/{kind}", said) == []
        found += said["data"]
        if not said["has_more"]:
            break
        page = [("page", said["next_page"])]
    surfaces_of = KINDS[kind].surfaces
    mine = [
        one
        for one in rows
        if one.tenant == "acme"
        and one.began_ms >= since_s * 1000
        and (surfaces_of is None or one.surface in surfaces_of)
    ]
    for name, of_row in (("num_model_requests", "requests"), ("input_tokens", "prompt_tokens"), ("images", "units")):
        if any(name in result for result in results(found)):
            assert summed(found, name) == sum(getattr(one, of_row) for one in mine)
    if kind == "costs":
        assert round(summed(found, "amount") * 10**9) == sum(one.price_nano for one in mine)
    starts = [bucket["start_time"] for bucket in found]
    assert starts == sorted(starts)  # a bucket may come on several pages, one after the other
    expected = {since_s, *range((since_s // seconds + 1) * seconds, NOW_S + 1, seconds)}
    assert set(starts) == expected
    seen = [
        (bucket["start_time"], result[group], result.get("user_id"))
        for bucket in found
        for result in bucket["results"]
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("most", range(1, 8))
async def test_a_bucket_that_does_not_fit_goes_on_and_no_other_comes_twice(most: int) -> None:
    """Two, three and one models on three days, a day without any between them."""
    used = {0: "ab", 2: "abc", 4: "a"}
    rows = [row(MONDAY_S + (day - 4) * DAY_S, model=model) for day, models in used.items() for model in models]
    caller = Caller(Api(RowStore(rows, most=most)))
    query = (("start_time", MONDAY_S - 4 * DAY_S), ("end_time", MONDAY_S + DAY_S), ("group_by", "model"))
    found = await caller.buckets("usage/completions", *query)
    told = [
        ((one["start_time"] - MONDAY_S) // DAY_S + 4, [each["model"] for each in one["results"]]) for one in found
    ]
    merged: dict[int, list[str]] = {}
    for day, models in told:
        merged.setdefault(day, []).extend(models)
    assert merged == {day: list(used.get(day, "")) for day in range(5)}
    parts = [models for _, models in told if models]
    assert [len(models) for _, models in told].count(0) == 2  # the days without, once each
    assert len(parts) <= -(-6 // most) + 2


async def test_a_cursor_is_of_its_question_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_app, "MOST_RESULTS", 1)
    caller = Caller(Api(RowStore([row(NOW_S, model=model) for model in "abc"])))
    query = [("start_time", MONDAY_S), ("group_by", "model")]
    cursors = []
    for limit in (1, 31):
        said = (await caller.get("/v1/organization/usage/completions", *query, ("limit", limit))).json()
        cursors.append(("page", said["next_page"]))
    for cursor in cursors:
        for kind, other in (
            ("usage/completions", [("start_time", MONDAY_S)]),
            ("usage/completions", [("start_time", MONDAY_S - 1), ("group_by", "model")]),
            ("usage/completions", [*query, ("models", "a")]),
            ("usage/completions", [*query, ("end_time", NOW_S)]),
            ("usage/completions", [*query, ("bucket_width", "1h")]),
            ("usage/embeddings", query),
        ):
            answer = await caller.get(f"/v1/organization/{kind}", *other, cursor)
            assert (answer.status_code, error_of(answer)["param"]) == (400, "page")
        assert (await caller.get("/v1/organization/usage/completions", *query, cursor)).status_code == 200


async def test_a_store_that_can_t_answer() -> None:
    api = Api(RowStore())
    for failure, status, code in (
        (Failure(kind="away", error="at 10.0.0.7:8123"), 503, "usage_away"),
        (Failure(kind="too_much", error="x"), 400, "too_much"),
        (Failure(kind="invalid", error="where.model: its values are too long"), 400, "invalid_value"),
    ):
        api.rows.failure = failure
        answer = await Caller(api).get("/v1/organization/costs", ("start_time", TODAY_S))
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
        assert ("retry-after" in answer.headers) == (status == 503)
        assert "10.0.0.7" not in answer.text
