"""A/B splits: who is of which variant, that it stays so, and what the plan says of it."""

import json
from collections import Counter
from typing import Any

import pytest
from ext_proc_client import Reply, ask, chat, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.steps.split import variant_of
from headgate.feed.states import State, TargetStates
from headgate.snapshot import SplitRow

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SNAPSHOT = snapshot_of("""\
providers:
  a: {api: openai, base_url: "http://a.test"}
  b: {api: openai, base_url: "http://b.test"}
  c: {api: openai, base_url: "http://c.test", zone: eu}
models:
  users:
    split: {variants: {old: 7, new: 3}}
    targets:
      - {provider: a, model: x, variant: old}
      - {provider: b, model: y, variant: new}
      - {provider: c, model: z}
  tenants:
    split: {by: tenant, variants: {old: 1, new: 1}}
    targets: [{provider: a, model: x, variant: old}, {provider: b, model: y, variant: new}]
tenants:
  acme: {models: [users, tenants], pin_targets: true}
  globex: {models: [users, tenants]}
  apart: {models: [users], targets: {users: [{provider: b, model: w}]}}
  eu: {models: [users], zones: [eu]}
""")
CLUSTERS = {row.provider: row.cluster for row in SNAPSHOT.tenants["acme"].models["users"]}
HALVES = SplitRow("user", {"a": 1, "b": 1})


def planned(model: str = "users", tenant: str = "acme", **more: Any) -> Reply:
    headers, states = more.pop("headers", {}), more.pop("states", None)
    reply = ask(CHAT, chat(model=model, **more), tenant=tenant, snapshot=SNAPSHOT, states=states, **headers)
    assert reply.status is None, reply.body
    return reply


def variant(reply: Reply) -> str | None:
    found: str | None = reply.metadata["hg.request"].get("variant")
    return found


def of(split: SplitRow, users: int) -> list[str]:
    return [variant_of(split, "m", "acme", f"user-{number}") for number in range(users)]


def test_users_are_spread_by_the_shares() -> None:
    """By 6.5 standard deviations; the hash draws nothing, so that this never changes."""
    for shares in ({"a": 9, "b": 1}, {"a": 90, "b": 10}, {"a": 1, "b": 1, "c": 2}):
        counts, whole = Counter(of(SplitRow("user", shares), 20_000)), sum(shares.values())
        for name, share in shares.items():
            part = share / whole
            assert abs(counts[name] - 20_000 * part) < 6.5 * (20_000 * part * (1 - part)) ** 0.5


@pytest.mark.parametrize(
    ("before", "after", "to"),
    [
        ({"a": 9, "b": 1}, {"a": 8, "b": 2}, "b"),
        ({"a": 5, "b": 3, "c": 2}, {"a": 5, "b": 3, "c": 5}, "c"),
        ({"a": 5, "b": 5}, {"a": 5, "b": 5, "new": 2}, "new"),
    ],
)
def test_a_changed_share_moves_as_few_as_can_be(before: dict[str, int], after: dict[str, int], to: str) -> None:
    users = 20_000
    was, now = of(SplitRow("user", before), users), of(SplitRow("user", after), users)
    moved = [(one, other) for one, other in zip(was, now, strict=True) if one != other]
    assert {other for _, other in moved} == {to}
    grown = after[to] / sum(after.values()) - before.get(to, 0) / sum(before.values())
    assert abs(len(moved) - users * grown) < 6.5 * (users * grown * (1 - grown)) ** 0.5


def test_it_is_the_same_in_every_version() -> None:
    """A change here moves users of running experiments."""
    assert [variant_of(HALVES, "m", "acme", user) for user in ("", "ann", "bob", "é", "eve")] == PINNED


PINNED = ["b", "a", "a", "b", "a"]


@settings(deadline=None)
@given(st.text(), st.permutations(["a", "b", "c"]))
def test_any_user_has_one_variant_whatever_the_order_of_the_file(user: str, names: list[str]) -> None:
    shares = {"a": 3, "b": 2, "c": 1}
    found = variant_of(SplitRow("user", shares), "m", "acme", user)
    assert found == variant_of(SplitRow("user", {name: shares[name] for name in names}), "m", "acme", user)


def test_models_and_tenants_are_drawn_apart() -> None:
    """Who is of a small variant here is not also of every other experiment's."""
    users = [f"user-{number}" for number in range(4000)]
    both = Counter((variant_of(HALVES, "m", "acme", user), variant_of(HALVES, "n", "acme", user)) for user in users)
    apart = Counter(
        (variant_of(HALVES, "m", "acme", user), variant_of(HALVES, "m", "globex", user)) for user in users
    )
    for counts in (both, apart):
        assert all(abs(count - 1000) < 6.5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())
        assert len(counts) == 4


def test_a_request_goes_to_its_variant_s_targets_and_those_of_all() -> None:
    found = Counter()
    for number in range(60):
        reply = planned(user=f"user-{number}")
        assert variant(reply) == variant(planned(user=f"user-{number}"))
        found[variant(reply)] += 1
        expected = {"old": ["provider/a", "provider/c"], "new": ["provider/b", "provider/c"]}[variant(reply) or ""]
        assert reply.clusters == expected
    assert set(found) == {"old", "new"}


def test_anthropic_s_clients_have_users_too() -> None:
    for number in range(20):
        members = {"model": "users", "max_tokens": 5, "metadata": {"user_id": f"user-{number}"}}
        body = json.dumps({**members, "messages": [{"role": "user", "content": "hi"}]}).encode()
        reply = ask(MESSAGES, body, snapshot=SNAPSHOT, anthropic_version="2023-06-01")
        assert variant(reply) == variant(planned(user=f"user-{number}"))


def test_without_a_user_the_tenant_decides() -> None:
    assert len({variant(planned()) for _ in range(20)}) == 1
    assert len({variant(planned("tenants", user=f"user-{number}")) for number in range(40)}) == 1
    assert variant(planned("tenants")) is not None


def test_who_takes_no_part() -> None:
    """A tenant with targets of its own, or without any of a variant in its zones; a request that names its target."""
    assert (variant(planned(tenant="apart")), planned(tenant="apart").clusters) == (None, ["provider/b"])
    assert (variant(planned(tenant="eu")), planned(tenant="eu").clusters) == (None, ["provider/c"])
    for name in ("a", "b"):
        reply = planned(headers={"x-headgate-target": name})
        assert (variant(reply), reply.clusters) == (None, [f"provider/{name}"])


def test_a_variant_that_is_down_is_no_reason_for_the_other_one() -> None:
    states = TargetStates()
    states.take_health("g", {CLUSTERS["a"]: State.UNHEALTHY})
    olds = [user for user in (f"user-{number}" for number in range(40)) if variant(planned(user=user)) == "old"]
    assert olds
    assert all(planned(user=user, states=states).clusters == ["provider/c"] for user in olds)
    states.take_health("g", {CLUSTERS["a"]: State.UNHEALTHY, CLUSTERS["c"]: State.UNHEALTHY})
    assert all(planned(user=user, states=states).clusters == ["provider/a", "provider/c"] for user in olds)


def test_other_models_say_nothing_of_variants() -> None:
    assert variant(ask(CHAT, chat(model="chat"))) is None
