"""Which targets are asked for a request, in which order, and why others are not."""

import json
from collections import Counter
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.steps.chain import attempts
from headgate.feed.states import Rest, State, TargetStates
from headgate.snapshot import TargetRow

URL = "/v1/chat/completions"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test"}
  b: {api: openai, base_url: "http://b.test"}
  c: {api: openai, base_url: "http://c.test", zone: eu}
  many: {api: openai, endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]}
  claude: {api: anthropic, base_url: "http://claude.test"}
models:
  weighed:
    targets:
      - {provider: a, model: x, priority: 1, weight: 3}
      - {provider: b, model: x, priority: 1}
      - {provider: c, model: x, priority: 0}
  equals:
    targets: [{provider: a, model: x, priority: 0, weight: 6}, {provider: b, model: x, priority: 0, weight: 3},
              {provider: c, model: x, priority: 0, weight: 1}]
  all:
    max_attempts: 10
    targets: [{provider: a, model: x}, {provider: many, model: y}, {provider: claude, model: z}]
  foreign: {targets: [{provider: claude, model: z}, {provider: a, model: x}]}
  claude: {targets: [{provider: claude, model: z}]}
  dropping: {targets: [{provider: claude, model: z}, {provider: a, model: x}], drop_unsupported: true}
  two-of-one: {targets: [{provider: a, model: x}, {provider: b, model: y}, {provider: a, model: z}]}
tenants:
  acme: {models: [weighed, equals, all, foreign, claude, dropping, two-of-one], pin_targets: true}
  bound: {models: [all]}
  own: {models: [all, two-of-one], targets: {all: [{provider: c, model: w}, {provider: a, model: v}]}}
  eu: {models: [all, weighed], zones: [eu], targets: {all: [{provider: a, model: v}, {provider: c, model: w}]},
       pin_targets: true}
""")


def planned(model: str, *, states: TargetStates | None = None, headers: Any = None, **members: Any) -> Reply:
    tenant = members.pop("tenant", "acme")
    return ask(URL, chat(model=model, **members), tenant=tenant, snapshot=SNAPSHOT, states=states, **(headers or {}))


def chain(model: str, **more: Any) -> str:
    reply = planned(model, **more)
    assert reply.status is None, reply.body
    assert reply.headers["x-envoy-max-retries"] == str(len(reply.clusters) - 1)
    return " ".join(cluster.removeprefix("provider/") for cluster in reply.clusters)


def row(name: str, endpoints: int) -> TargetRow:
    return TargetRow(name, "openai", name, "m", "final", 0, 1, endpoints)


@pytest.mark.parametrize(
    ("endpoints", "most", "chained"),
    [
        ([1], 1, "0"),
        ([1], 10, "0"),
        ([1, 1, 1], 2, "0 1"),
        ([3], 2, "0 0"),
        ([3, 3], 2, "0 1"),
        ([3, 3], 3, "0 0 1"),
        ([3, 3], 5, "0 0 0 1 1"),
        ([3, 3], 10, "0 0 0 1 1 1"),
        ([1, 3], 3, "0 1 1"),
        ([2, 1, 5], 5, "0 0 1 2 2"),
    ],
)
def test_replicas_get_what_is_left(endpoints: list[int], most: int, chained: str) -> None:
    targets = tuple(row(str(number), count) for number, count in enumerate(endpoints))
    assert " ".join(target.provider for target in attempts(targets, most)) == chained


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 10))
def test_attempts_are_as_many_as_there_can_be(endpoints: list[int], most: int) -> None:
    targets = tuple(row(str(number), count) for number, count in enumerate(endpoints))
    made = [int(target.provider) for target in attempts(targets, most)]
    considered = endpoints[:most]
    assert made == sorted(made)
    assert set(made) == set(range(len(considered)))
    assert all(made.count(number) <= count for number, count in enumerate(considered))
    assert len(made) == min(most, sum(considered))


def test_priority_goes_before_weight() -> None:
    assert {chain("weighed") for _ in range(80)} == {"c a b", "c b a"}  # without the second: once in 1e10 times


def test_weights() -> None:
    """By 6.5 standard deviations: wrong by chance less than once in 1e10 times."""
    draws, expected = 3000, {"a": 0.6, "b": 0.3, "c": 0.1}
    drawn = Counter(chain("equals") for _ in range(draws))
    assert len(drawn) == 6
    for name, share in expected.items():
        first = sum(count for order, count in drawn.items() if order.startswith(name))
        assert abs(first - draws * share) < 6.5 * (draws * share * (1 - share)) ** 0.5
    # After a, what is left is drawn by weight again: three to one.
    after_a = drawn["a b c"] + drawn["a c b"]
    assert abs(drawn["a b c"] - after_a * 0.75) < 6.5 * (after_a * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize(
    ("tenant", "model", "chained", "models"),
    [
        ("acme", "all", "a many many many claude", ["x", "y", "y", "y", "z"]),
        ("own", "all", "c a", ["w", "v"]),
        ("own", "two-of-one", "a b a", ["x", "y", "z"]),
        ("eu", "all", "c", None),
        ("eu", "weighed", "c", None),
    ],
)
def test_a_tenants_own_targets_and_zones(tenant: str, model: str, chained: str, models: list[str] | None) -> None:
    assert chain(model, tenant=tenant) == chained
    assert planned(model, tenant=tenant).metadata["hg.request"].get("models") == models


@pytest.mark.parametrize(
    ("target", "chained"),
    [("a", "a"), ("many", "many many many"), ("claude", "claude"), ("", "a many many many claude")],
)
def test_a_tenant_that_may_names_its_target(target: str, chained: str) -> None:
    assert chain("all", headers={"x_headgate_target": target}) == chained


def test_a_named_provider_may_have_several_targets() -> None:
    assert chain("two-of-one", headers={"x_headgate_target": "a"}) == "a a"


@pytest.mark.parametrize("target", ["a", "claude", "nobody"])
def test_a_tenant_that_may_not_is_told(target: str) -> None:
    reply = planned("all", tenant="bound", headers={"x_headgate_target": target})
    assert (reply.status, reply.error["code"]) == (403, "target_not_allowed")
    assert reply.error["param"] == "x-headgate-target"


@pytest.mark.parametrize(
    ("tenant", "target", "known"),
    [("acme", "c", "a, many, claude"), ("acme", "A", "a, many, claude"), ("eu", "a", "c"), ("eu", "é\"'", "c")],
)
def test_a_target_that_there_is_not_is_told_with_those_that_there_are(tenant: str, target: str, known: str) -> None:
    reply = planned("all", tenant=tenant, headers={"x_headgate_target": target})
    assert (reply.status, reply.error["code"]) == (400, "unknown_target")
    assert reply.error["message"].endswith(f"it has {known}.")


@pytest.mark.parametrize(
    ("fallback", "chained"),
    [("off", "a"), (" OFF ", "a"), ("on", "a many many many claude"), ("", "a many many many claude")],
)
def test_fallback_can_be_turned_off(fallback: str, chained: str) -> None:
    assert chain("all", headers={"x_headgate_fallback": fallback}) == chained
    assert chain("all", tenant="bound", headers={"x_headgate_fallback": fallback}) == chained


def test_off_is_one_attempt_also_at_a_named_target() -> None:
    assert chain("all", headers={"x_headgate_target": "many", "x_headgate_fallback": "off"}) == "many"


@pytest.mark.parametrize("fallback", ["no", "false", "0", "off,on"])
def test_fallback_takes_two_words(fallback: str) -> None:
    reply = planned("all", headers={"x_headgate_fallback": fallback})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_value", "x-headgate-fallback")


@pytest.mark.parametrize(
    ("model", "members", "chained"),
    [
        ("foreign", {}, "claude a"),
        ("foreign", {"logprobs": True}, "a"),
        ("foreign", {"logprobs": False, "n": 1, "seed": None}, "claude a"),
        ("dropping", {"logprobs": True}, "claude a"),
        ("all", {"n": 2}, "a many many many"),
    ],
)
def test_targets_that_cannot_do_what_is_asked(model: str, members: dict[str, Any], chained: str) -> None:
    assert chain(model, **members) == chained


@pytest.mark.parametrize("more", [{}, {"headers": {"x_headgate_target": "claude"}}])
def test_what_no_target_can_do_is_named(more: dict[str, Any]) -> None:
    model = "foreign" if more else "claude"
    reply = planned(model, logprobs=True, n=2, **more)
    assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
    assert all(f"'{name}'" in reply.error["message"] for name in ("logprobs", "n", "claude"))
    assert reply.error["param"] in ("logprobs", "n")


@pytest.mark.parametrize(("model", "status"), [("claude", 400), ("foreign", None)])
def test_a_surface_that_a_provider_has_not(model: str, status: int | None) -> None:
    body = json.dumps({"model": model, "input": "x"}).encode()
    reply = ask("/v1/embeddings", body, snapshot=SNAPSHOT)
    assert reply.status == status
    if status is None:
        assert reply.clusters == ["provider/a"]
    else:
        assert reply.error["code"] == "no_target"


CLUSTER = {row.provider: row.cluster for rows in SNAPSHOT.tenants["acme"].models.values() for row in rows}


def known(**states: State) -> TargetStates:
    found = TargetStates(clock=lambda: 0.0)
    found.take_health("gateway", {CLUSTER[name]: state for name, state in states.items()})
    return found


@pytest.mark.parametrize(
    ("states", "chained"),
    [
        ({}, "a many many many claude"),
        ({"a": State.EJECTED}, "many many many claude"),
        ({"a": State.SATURATED, "many": State.UNHEALTHY}, "claude"),
        ({"a": State.UNHEALTHY, "many": State.SATURATED, "claude": State.EJECTED}, "many many many"),
        ({"a": State.EJECTED, "many": State.UNRESOLVED, "claude": State.EJECTED}, "a claude"),
        (dict.fromkeys(("a", "many", "claude"), State.UNRESOLVED), "a many many many claude"),
    ],
)
def test_targets_that_do_not_work_are_left_out(states: dict[str, State], chained: str) -> None:
    assert chain("all", states=known(**states)) == chained


def test_a_rest_is_of_one_model_at_a_provider() -> None:
    states = known()
    states.take_rests((Rest(CLUSTER["a"], "x", 60),))
    assert chain("two-of-one", states=states) == "b a"
    assert planned("two-of-one", states=states).metadata["hg.request"]["models"] == ["y", "z"]


def test_the_only_target_is_asked_however_it_is() -> None:
    assert chain("claude", states=known(claude=State.UNRESOLVED)) == "claude"
    assert chain("all", states=known(a=State.UNHEALTHY), headers={"x_headgate_target": "a"}) == "a"
    # Of those that can do it: a target that cannot is no better for being healthy.
    assert chain("foreign", states=known(a=State.UNHEALTHY), logprobs=True) == "a"
