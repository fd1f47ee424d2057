"""How strategies rank targets: pure functions, and what requests make of them."""

import random
from collections import Counter
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.steps.order import EXPLORED, NEAR, by_cost, by_load, by_priority, by_speed, by_weight
from headgate.feed.figures import Figures, Known, Mean
from headgate.feed.states import State, TargetStates
from headgate.snapshot import TargetRow

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
GATEWAY = """\
providers:
  a: {api: openai, base_url: "http://a.test"}
  b: {api: openai, base_url: "http://b.test"}
  c: {api: openai, base_url: "http://c.test", zone: eu}
  pool: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]}
models:
  weighted: {strategy: weighted, targets: [{provider: a, model: x, weight: 3}, {provider: b, model: x}]}
  fastest: {strategy: fastest, targets: [{provider: a, model: x}, {provider: b, model: x}, {provider: c, model: x}]}
  busy: {strategy: least_busy, targets: [{provider: a, model: x}, {provider: b, model: x}]}
  pool: {strategy: least_busy, max_attempts: 1, targets: [{provider: a, model: x}, {provider: pool, model: x}]}
  cheap:
    strategy: cheapest
    price: {input: 1, output: 4}
    default_max_tokens: 1000
    targets:
      - {provider: a, model: x}
      - {provider: b, model: x, price: {input: 3, output: 1}}
      - {provider: c, model: x, price: {input: 9, output: 9}}
      - {provider: pool, model: x, price: {input: 9, output: 9}}
tenants:
  acme: {models: [weighted, fastest, busy, pool, cheap]}
"""
SNAPSHOT = snapshot_of(GATEWAY)
COUNTING = snapshot_of(f"{GATEWAY}  counted: {{models: [cheap], limits: {{tpm: 1000000}}}}\n")
CLUSTERS = {row.provider: row.cluster for rows in SNAPSHOT.tenants["acme"].models.values() for row in rows}


def planned(model: str, figures: Figures | None = None, path: str = CHAT, **more: Any) -> Reply:
    tenant, states = more.pop("tenant", "acme"), more.pop("states", None)
    body = more.pop("body", None) or chat(model=model, **more)
    snapshot = COUNTING if tenant == "counted" else SNAPSHOT
    reply = ask(path, body, tenant=tenant, snapshot=snapshot, states=states, figures=figures)
    assert reply.status is None, reply.body
    return reply


def first(model: str, figures: Figures | None = None, **more: Any) -> str:
    return planned(model, figures, **more).clusters[0].removeprefix("provider/")


def heard(known: Known, gateway: str = "g1", **more: Any) -> Figures:
    figures = Figures("g1", **more)
    figures.take(gateway, known)
    return figures


def rows(count: int, priorities: list[int] | None = None, weights: list[int] | None = None) -> list[TargetRow]:
    return [
        TargetRow(
            str(number), "openai", f"c{number}", "m", "final",
            priorities[number] if priorities else 0, weights[number] if weights else 1, 1,
        )
        for number in range(count)
    ]  # fmt: skip


def near(count: int, draws: int, share: float) -> bool:
    """Within 6.5 standard deviations: wrong by chance less than once in 1e10 times."""
    return abs(count - draws * share) <= 6.5 * (draws * share * (1 - share)) ** 0.5


def drawing(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - guards nothing


TARGETS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=7)
SEEDS = st.integers(0, 2**32)


@settings(deadline=None)
@given(TARGETS, SEEDS, st.data())
def test_every_strategy_ranks_all_targets_once(shapes: list[tuple[int, int]], seed: int, data: st.DataObject) -> None:
    targets = rows(len(shapes), [priority for priority, _ in shapes], [weight for _, weight in shapes])
    draw = drawing(seed)
    costs = data.draw(st.lists(st.floats(0, 1e9), min_size=len(targets), max_size=len(targets)))
    times = data.draw(st.lists(st.none() | st.floats(0, 1e6), min_size=len(targets), max_size=len(targets)))
    loads = data.draw(st.lists(st.floats(0, 1e6), min_size=len(targets), max_size=len(targets)))
    ranked = [by_priority(targets, draw), by_weight(targets, draw), by_cost(targets, costs, draw)]
    ranked += [by_speed(targets, times, draw)]
    ranked += [by_load(targets, loads, draw)] if len(targets) > 1 else []
    for found in ranked:
        assert sorted(found, key=lambda one: one.provider) == targets
    assert [one.priority for one in ranked[0]] == sorted(priority for priority, _ in shapes)
    by_its = dict(zip((one.provider for one in targets), costs, strict=True))
    keys = [(by_its[one.provider], one.priority) for one in ranked[2]]
    assert keys == sorted(keys)


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(1, 1e5), min_size=2, max_size=6), SEEDS)
def test_the_fastest_go_first_but_for_the_explored(times: list[float | None], seed: int) -> None:
    targets = rows(len(times))
    of = dict(zip((one.provider for one in targets), times, strict=True))
    found = [of[one.provider] for one in by_speed(targets, times, drawing(seed))]
    known = [ms for ms in times if ms is not None]
    if not known:
        return
    limit = min(known) * NEAR
    explored = found[0] is None or found[0] > limit
    rest = found[1:] if explored else found
    kinds = [2 if ms is None else int(ms > limit) for ms in rest]
    assert kinds == sorted(kinds)
    slower = [ms for ms in rest if ms is not None and ms > limit]
    assert slower == sorted(slower)
    if explored and None in times:
        assert found[0] is None  # what is unknown is tried before what is known to be slow


def test_how_much_is_explored_and_how_the_near_share() -> None:
    targets, draw, draws = rows(4, weights=[3, 1, 1, 1]), drawing(1), 20_000
    firsts = Counter(by_speed(targets, [100, 109, 200, 900], draw)[0].provider for _ in range(draws))
    assert near(firsts["2"] + firsts["3"], draws, EXPLORED)
    assert near(firsts["2"], draws, EXPLORED / 2)
    assert near(firsts["0"], draws, (1 - EXPLORED) * 3 / 4)
    firsts = Counter(by_speed(targets, [100, None, 200, None], draw)[0].provider for _ in range(draws))
    assert near(firsts["1"] + firsts["3"], draws, EXPLORED)
    assert not firsts["2"]


def test_of_two_the_less_busy_one_goes_first_whatever_their_size() -> None:
    draw = drawing(1)
    assert all(by_load(rows(2), [5, 4], draw)[0].provider == "1" for _ in range(50))
    assert all(by_load(rows(2, weights=[10, 1]), [19, 1], draw)[0].provider == "1" for _ in range(50)) is False
    assert all(by_load(rows(2, weights=[10, 1]), [9, 1], draw)[0].provider == "0" for _ in range(50))
    firsts = Counter(by_load(rows(2), [3, 3], draw)[0].provider for _ in range(2000))
    assert near(firsts["0"], 2000, 0.5)


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_that_hear_the_same_do_not_all_choose_the_same(workers: int) -> None:
    """One second between two messages, 400 requests, ten targets of which one is idle: no herd at that one."""
    loads = {f"c{number}": 20 for number in range(1, 10)}
    every = [heard(Known(load=loads), workers=workers) for _ in range(workers)]
    targets, draw, chosen = rows(10), drawing(7), Counter[str]()
    for turn in range(400):
        figures = every[turn % workers]
        found = by_load(targets, [figures.load(one.cluster) or 0 for one in targets], draw)[0]
        figures.choose(found.cluster)
        chosen[found.provider] += 1
    after = {one.provider: chosen[one.provider] + loads.get(one.cluster, 0) for one in targets}
    assert max(after.values()) <= 1.2 * sum(after.values()) / len(after), after
    assert chosen["0"] == max(chosen.values()) < 80  # in 80 of the draws it is one of the two


def test_weighted_takes_no_notice_of_priority() -> None:
    firsts = Counter(first("weighted") for _ in range(1500))
    assert near(firsts["a"], 1500, 0.75)


def test_without_figures_all_strategies_go_by_priority() -> None:
    for model in ("fastest", "busy"):
        assert {first(model) for _ in range(40)} == {"a"}
        assert {first(model, heard(Known())) for _ in range(40)} == {"a"}


def test_figures_that_nobody_repeats_are_forgotten() -> None:
    now = [0.0]
    known = Known({(CLUSTERS["c"], "x", True): Mean(10, 1)}, {CLUSTERS["a"]: 9})
    figures = heard(known, clock=lambda: now[0])
    assert Counter(first("fastest", figures, stream=True) for _ in range(40)).most_common(1)[0][0] == "c"
    assert first("busy", figures) == "b"
    now[0] = 5.0
    assert {first("fastest", figures, stream=True) for _ in range(40)} == {"a"}
    assert first("busy", figures) == "a"


def test_streams_and_whole_answers_have_figures_of_their_own() -> None:
    said = {True: {"a": 900, "b": 300, "c": 600}, False: {"a": 2, "b": 9, "c": 8}}
    times = {
        (CLUSTERS[name], "x", streams): Mean(ms, 1) for streams, some in said.items() for name, ms in some.items()
    }
    figures = heard(Known(times))
    streamed = Counter(" ".join(planned("fastest", figures, stream=True).clusters) for _ in range(60))
    whole = Counter(first("fastest", figures) for _ in range(60))
    assert streamed.most_common(1)[0][0] == "provider/b provider/c provider/a"
    assert whole.most_common(1)[0][0] == "a"


def test_state_goes_before_every_strategy() -> None:
    states = TargetStates()
    states.take_health("g1", {CLUSTERS["b"]: State.UNHEALTHY})
    times = {(CLUSTERS[name], "x", True): Mean(ms, 1) for name, ms in (("a", 900), ("b", 1), ("c", 500))}
    figures = heard(Known(times, {CLUSTERS["a"]: 1000}))
    for _ in range(40):
        assert "b" not in first("fastest", figures, stream=True, states=states)
        assert first("busy", figures, states=states) == "a"


def test_ones_own_choices_count_until_the_next_message() -> None:
    figures = heard(Known(load={CLUSTERS["a"]: 6}), workers=2)
    firsts = Counter(first("busy", figures) for _ in range(43))
    assert firsts["b"] - firsts["a"] in (2, 3, 4)  # each counts for two, and a has six
    figures.take("g1", Known(load={CLUSTERS["a"]: 6}))
    assert first("busy", figures) == "b"


def test_endpoints_and_weight_say_how_much_a_target_takes() -> None:
    figures = heard(Known(load={}))
    firsts = Counter(first("pool", figures) for _ in range(400))
    assert firsts["pool"] == pytest.approx(300, abs=3)


@pytest.mark.parametrize(
    ("members", "chained"),
    [
        ({"max_tokens": 10}, "a"),
        ({"max_tokens": 500}, "b"),
        ({}, "b"),  # 1000 tokens by default
        ({"max_tokens": 10, "n": 100}, "b"),
    ],
)
def test_the_cheapest_by_what_may_be_generated(members: dict[str, Any], chained: str) -> None:
    """A short prompt of about 20 tokens: a costs 1 and 4, b 3 and 1."""
    assert first("cheap", **members) == chained


def test_a_long_prompt_turns_it_round() -> None:
    messages = [{"role": "user", "content": "word " * 4000}]
    assert first("cheap", messages=messages, max_tokens=500) == "a"


def test_the_usual_length_of_answers_counts_and_the_request_s_limit_bounds_it() -> None:
    figures = heard(Known(answers={"cheap": Mean(5, 1)}))
    assert first("cheap", figures) == "a"
    assert first("cheap", figures, max_tokens=900) == "a"
    figures = heard(Known(answers={"cheap": Mean(5000, 1)}))
    assert (first("cheap", figures), first("cheap", figures, max_tokens=2)) == ("b", "a")


def test_equal_costs_go_by_priority() -> None:
    found = planned("cheap", max_tokens=10).clusters
    assert found == ["provider/a", "provider/b", "provider/c"]


def test_a_counted_prompt_goes_before_the_body_s_size() -> None:
    """Half a megabyte of a picture is 1,400 tokens or so, and not 125,000."""
    picture = "data:image/png;base64," + "A" * 500_000
    part = {"type": "image_url", "image_url": {"url": picture, "detail": "low"}}
    messages = [{"role": "user", "content": [part]}]
    assert first("cheap", messages=messages, max_tokens=1200) == "a"
    assert first("cheap", messages=messages, max_tokens=1200, tenant="counted") == "b"


def test_embeddings_generate_nothing() -> None:
    body = b'{"model": "cheap", "input": "hi"}'
    assert first("cheap", path=EMBEDDINGS, body=body) == "a"
