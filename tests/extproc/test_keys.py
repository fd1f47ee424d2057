"""Providers with several keys: which key a request goes with, and which attempts further keys get."""

from collections import Counter
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.steps.chain import attempts
from headgate.feed.figures import Figures, Known, Mean
from headgate.feed.states import EVERY_MODEL, Rest, State, TargetStates
from headgate.snapshot import TargetRow

URL = "/v1/chat/completions"
SNAPSHOT = snapshot_of(
    """\
providers:
  p:
    api: openai
    base_url: "http://p.test/v1"
    api_keys: [{key: env:A, name: a, weight: 6}, {key: env:B, name: b, weight: 3}, {key: env:C, name: c}]
  q: {api: openai, base_url: "http://q.test/v1"}
  r: {api: anthropic, base_url: "http://r.test", api_keys: [{key: env:A, name: a}, {key: env:B, name: b}]}
models:
  alone: {targets: [{provider: p, model: x}]}
  most: {targets: [{provider: p, model: x}], max_attempts: 10}
  two: {targets: [{provider: p, model: x}, {provider: q, model: y}]}
  behind: {targets: [{provider: q, model: y}, {provider: p, model: x}]}
  three: {targets: [{provider: p, model: x}, {provider: q, model: y}, {provider: r, model: z}]}
  twice: {targets: [{provider: p, model: x}, {provider: p, model: y}], max_attempts: 10}
  foreign: {targets: [{provider: r, model: z}]}
  weighed: {targets: [{provider: p, model: x, weight: 1}, {provider: q, model: y, weight: 3}], strategy: weighted}
  fast: {targets: [{provider: p, model: x}, {provider: q, model: y}], strategy: fastest}
  busy: {targets: [{provider: p, model: x}, {provider: q, model: y}], strategy: least_busy}
tenants:
  acme: {models: [alone, most, two, behind, three, twice, foreign, weighed, fast, busy], pin_targets: true}
""",
    A="sk-a",
    B="sk-b",
    C="sk-c",
)
BY_NAME = {
    row.cluster.removeprefix("provider/").partition("@")[0]: row.cluster
    for rows in SNAPSHOT.tenants["acme"].models.values()
    for row in rows
}
DRAWS = 400


def near(count: int, share: float) -> bool:
    """Within 6.5 standard deviations: wrong by chance less than once in 1e10 times."""
    return bool(abs(count - DRAWS * share) <= 6.5 * (DRAWS * share * (1 - share)) ** 0.5)


def planned(model: str, states: TargetStates | None = None, **more: Any) -> Reply:
    figures, headers = more.pop("figures", None), more.pop("headers", {})
    body = chat(model=model, **more)
    reply = ask(URL, body, tenant="acme", snapshot=SNAPSHOT, states=states, figures=figures, **headers)
    assert reply.status is None, reply.body
    return reply


def chain(model: str, states: TargetStates | None = None, **more: Any) -> list[str]:
    found = planned(model, states, **more).clusters
    return [cluster.removeprefix("provider/").partition("@")[0] for cluster in found]


def rests(**of: str) -> TargetStates:
    """Those of keys of `p`: the model that rests with one, or every one."""
    states = TargetStates()
    states.take_rests(tuple(Rest(BY_NAME[f"p/{key}"], model, 60) for key, model in of.items()))
    return states


def test_further_keys_take_the_attempts_that_no_other_target_needs() -> None:
    for _ in range(20):
        assert sorted(chain("alone")) == ["p/a", "p/b", "p/c"]
        assert sorted(chain("most")) == ["p/a", "p/b", "p/c"]
        one, other, last = chain("two")
        assert (one != other, {one[0], other[0]}, last) == (True, {"p"}, "q")
        first, *keys = chain("behind")
        assert (first, len(set(keys)), {key[0] for key in keys}) == ("q", 2, {"p"})
        assert [name.partition("/")[0] for name in chain("three")] == ["p", "q", "r"]
        both = chain("twice")
        assert (len(both), sorted(both[:3]), sorted(both[3:])) == (6, ["p/a", "p/b", "p/c"], ["p/a", "p/b", "p/c"])


def test_one_attempt_is_one_key_and_a_pinned_target_keeps_its_keys() -> None:
    assert len(chain("two", headers={"x_headgate_fallback": "off"})) == 1
    assert sorted(chain("two", headers={"x_headgate_target": "p"})) == ["p/a", "p/b", "p/c"]


def test_keys_are_drawn_by_weight() -> None:
    firsts = Counter(chain("alone")[0] for _ in range(DRAWS))
    assert all(near(firsts[f"p/{key}"], share) for key, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)))
    seconds = Counter(chain("alone")[1] for _ in range(DRAWS))
    assert seconds["p/a"] > seconds["p/c"] > 0


def test_a_target_is_drawn_by_its_own_weight_however_many_keys_it_has() -> None:
    firsts = Counter(chain("weighed")[0].partition("/")[0] for _ in range(DRAWS))
    assert near(firsts["q"], 0.75)


@pytest.mark.parametrize(
    ("states", "chained"),
    [
        ({"a": "x"}, {"p/b", "p/c"}),
        ({"a": EVERY_MODEL, "b": "x"}, {"p/c"}),
        ({"a": "x", "b": "other", "c": EVERY_MODEL}, {"p/b"}),
        ({"a": EVERY_MODEL, "b": "x", "c": "x"}, {"p/b", "p/c"}),
        (dict.fromkeys("abc", "x"), {"p/a", "p/b", "p/c"}),
        (dict.fromkeys("abc", EVERY_MODEL), {"p/a", "p/b", "p/c"}),
    ],
)
def test_keys_that_rest_are_left_out_while_others_are_there(states: dict[str, str], chained: set[str]) -> None:
    for _ in range(10):
        assert set(chain("alone", rests(**states))) == chained


def test_a_target_is_as_good_as_its_best_key() -> None:
    assert chain("two", rests(a="x", b=EVERY_MODEL)) == ["p/c", "q"]
    assert chain("two", rests(a="x", b="x", c=EVERY_MODEL)) == ["q"]
    sick = TargetStates()
    sick.take_health("g", {BY_NAME["p/a"]: State.UNHEALTHY, BY_NAME["q"]: State.EJECTED})
    assert set(chain("two", sick)) == {"p/b", "p/c"}


def test_all_keys_are_sent_the_planned_body_and_translated_ones_their_own() -> None:
    direct = planned("alone").metadata["hg.request"]
    assert direct["direct"] == ",1,2,3,"
    assert "models" not in direct
    foreign = planned("foreign").metadata["hg.request"]
    assert (foreign["direct"], foreign["models"]) == (",,", ["z", "z"])
    beside = planned("two").metadata["hg.request"]
    assert (beside["direct"], beside["models"]) == (",1,2,", ["x", "x", "y"])


def test_the_fastest_target_is_found_by_what_is_known_of_any_of_its_keys() -> None:
    for key in "abc":
        figures = Figures("g1")
        times = {(BY_NAME[f"p/{key}"], "x", False): Mean(1.0, 5), (BY_NAME["q"], "y", False): Mean(50.0, 5)}
        figures.take("g1", Known(times))
        firsts = Counter(chain("fast", figures=figures)[0].partition("/")[0] for _ in range(60))
        assert firsts["p"] > firsts["q"]


def test_how_busy_a_target_is_all_its_keys_say_together() -> None:
    figures = Figures("g1")
    figures.take("g1", Known(load={BY_NAME["p/a"]: 3, BY_NAME["p/b"]: 3, BY_NAME["p/c"]: 3, BY_NAME["q"]: 5}))
    assert chain("busy", figures=figures)[0] == "q"
    figures.take("g1", Known(load={BY_NAME["p/a"]: 1, BY_NAME["p/b"]: 1, BY_NAME["q"]: 5}))
    assert chain("busy", figures=figures)[0].startswith("p/")


def row(number: int, pool: int, key: int = 0, endpoints: int = 1) -> TargetRow:
    name = f"k{key}" if pool else None
    return TargetRow(str(number), "openai", f"c{number}.{key}", "m", "final", 0, 1, endpoints, key=name, pool=pool)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=5), st.integers(1, 10))
def test_no_key_takes_an_attempt_from_another_target(shapes: list[tuple[int, int]], most: int) -> None:
    pools = {
        number: [row(number, number if keys > 1 else 0, key, endpoints) for key in range(keys)]
        for number, (keys, endpoints) in enumerate(shapes, 1)
    }
    firsts = tuple(rows[0] for rows in pools.values())
    found = attempts(firsts, most, lambda target: pools[target.pool][1:])
    assert len(found) <= most
    assert len(found) == min(most, sum(keys + endpoints - 1 for keys, endpoints in shapes))
    asked = list(dict.fromkeys(one.provider for one in found))
    assert asked == [str(number) for number in pools][:most]
    assert [one.provider for one in found] == sorted([one.provider for one in found], key=int)
    for number in asked:
        keys = [one.key for one in found if one.provider == number]
        assert len(set(keys)) == min(len(keys), len(pools[int(number)]))
