"""In which order an engine's replicas are asked: pure functions over what the feed says of them."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.feed.replicas import Replica, Replicas, ReplicaState
from headgate.spreading import key_of, ranked

READY, STARTING, DRAINING, AWAY = ReplicaState
CLUSTER = "provider/llama@0123456789"


def replica(number: int, running: int = 0, waiting: int = 0, capacity: int = 32, **more: object) -> Replica:
    one = Replica(f"127.0.0.1:{8000 + number}", READY, running, waiting, capacity, 0.0)
    return replace(one, **more)  # type: ignore[arg-type] # whatever the test says


def keys(count: int) -> list[bytes]:
    return [key_of("acme", "llama", f"conversation {number}") for number in range(count)]


def order(replicas: list[Replica], key: bytes | None = None, model: str = "llama", seed: int = 1) -> list[str]:
    return [one.address for one in ranked(replicas, model, key, random.Random(seed))]  # noqa: S311 - guards nothing


IDLE = [replica(number) for number in range(4)]


def test_one_beginning_has_one_order_and_many_have_many() -> None:
    firsts = Counter(order(IDLE, key)[0] for key in keys(4000))
    assert all(abs(count - 1000) <= 6.5 * (4000 * 0.25 * 0.75) ** 0.5 for count in firsts.values()), firsts
    for key in keys(100):
        assert order(IDLE, key, seed=1) == order(list(reversed(IDLE)), key, seed=2)
    seconds = Counter(order(IDLE, key)[1] for key in keys(4000) if order(IDLE, key)[0] == IDLE[0].address)
    assert set(seconds) == {one.address for one in IDLE[1:]}  # what one leaves is shared out among all others


def test_where_a_replica_comes_or_goes_only_its_own_move() -> None:
    before = {key: order(IDLE[:3], key) for key in keys(1000)}
    for key, found in before.items():
        after = order(IDLE, key)
        assert [one for one in after if one != IDLE[3].address] == found


def test_tenants_and_models_with_the_same_beginning_are_told_apart() -> None:
    found = {key_of(tenant, model, "x") for tenant in ("a", "b") for model in ("m", "n")}
    assert len(found) == 4
    assert len(key_of("a", "m", "\ud83d")) == 16  # half a surrogate pair is text in JSON


@pytest.mark.parametrize(
    "full",
    [
        {"running": 1, "waiting": 1},
        {"running": 32},
        {"kv_used": 0.96},
        {"running": 20},  # the others run none, so that its share is seven
    ],
)
def test_a_full_replica_gives_its_own_to_the_next_one(full: dict[str, int]) -> None:
    for key in keys(50):
        idle = order(IDLE, key)
        busy = [replace(one, **full) if one.address == idle[0] else one for one in IDLE]  # type: ignore[arg-type]
        assert order(busy, key) == [*idle[1:], idle[0]]


@pytest.mark.parametrize("some", [{"running": 3}, {"running": 3, "kv_used": 0.9}])
def test_a_replica_that_is_hardly_busy_keeps_its_own(some: dict[str, int]) -> None:
    """Three of 32, and the others none: to read a long prompt once more would be the greater cost."""
    for key in keys(50):
        idle = order(IDLE, key)
        busy = [replace(one, **some) if one.address == idle[0] else one for one in IDLE]  # type: ignore[arg-type]
        assert order(busy, key) == idle


def test_where_all_are_full_the_least_busy_goes_first() -> None:
    busy = [replica(0, 32, 5), replica(1, 32, 2), replica(2, 16, 2, 16), replica(3, 32, 9)]
    for key in (*keys(20), None):
        assert order(busy, key) == [f"127.0.0.1:{port}" for port in (8001, 8002, 8000, 8003)]


@pytest.mark.parametrize("beginnings", [1, 1000])
def test_no_replica_gets_much_more_than_its_share_between_two_messages(beginnings: int) -> None:
    """Also where all requests begin alike: a worker counts what it has chosen."""
    replicas, asked = Replicas(), keys(beginnings)
    replicas.take("g1", {CLUSTER: IDLE})
    for turn in range(100):
        known = replicas.of(CLUSTER)
        assert known
        replicas.choose(CLUSTER, order(list(known), asked[turn % beginnings])[0])
    running = [one.running for one in replicas.of(CLUSTER) or ()]
    assert sum(running) == 100
    assert max(running) <= 32  # 1.25 times 25, rounded up
    if beginnings == 1:
        assert min(running) < 20  # no more replicas than it takes read the same prompt


def test_size_says_how_much_a_replica_takes() -> None:
    replicas, asked = Replicas(), keys(300)
    replicas.take("g1", {CLUSTER: [replica(0, capacity=300), replica(1, capacity=100)]})
    for key in asked:
        replicas.choose(CLUSTER, order(list(replicas.of(CLUSTER) or ()), key)[0])
    small = (replicas.of(CLUSTER) or ())[1].running
    assert 60 <= small <= 94  # of 300 that are one half its own, what a fourth of all capacity may have


def test_those_that_hold_the_adapter_come_first_however_busy() -> None:
    holding = frozenset({"acme/bot@3-0a1b2c3d", "other"})
    some = [replica(0), replica(1, 32, 4, adapters=holding), replica(2), replica(3, adapters=holding)]
    for key in (*keys(20), None):
        found = order(some, key, "acme/bot@3-0a1b2c3d")
        assert found[:2] == ["127.0.0.1:8003", "127.0.0.1:8001"]
        assert set(found[2:]) == {"127.0.0.1:8000", "127.0.0.1:8002"}
        assert set(order(some, key, "acme/bot@4-99999999")) == {one.address for one in some}


def test_those_about_to_stop_come_last_and_those_that_do_not_run_not_at_all() -> None:
    some = [replica(0, state=DRAINING), replica(1, 32, 9), replica(2, state=STARTING), replica(3, state=AWAY)]
    for key in (*keys(20), None):
        assert order(some, key) == ["127.0.0.1:8001", "127.0.0.1:8000"]
    assert order([replica(0, state=STARTING)]) == order([]) == []


def test_without_a_beginning_the_less_busy_of_two_goes_first() -> None:
    two = [replica(0, 9), replica(1, 8)]
    assert all(order(two, seed=seed) == ["127.0.0.1:8001", "127.0.0.1:8000"] for seed in range(50))
    firsts = Counter(order(IDLE, seed=seed)[0] for seed in range(400))
    assert set(firsts) == {one.address for one in IDLE}
    some = [replica(0, 9), replica(1, 8), replica(2, 7), replica(3, 6)]
    assert "127.0.0.1:8000" not in {order(some, seed=seed)[0] for seed in range(50)}


REPLICAS = st.lists(
    st.builds(
        replica,
        st.integers(0, 10_000),
        st.integers(0, 300),
        st.integers(0, 300),
        st.integers(0, 300),
        state=st.sampled_from(ReplicaState),
        kv_used=st.floats(0, 1),
        adapters=st.frozensets(st.sampled_from(["llama", "other"])),
    ),
    max_size=9,
    unique_by=lambda one: one.address,
)


@settings(deadline=None)
@given(REPLICAS, st.none() | st.binary(min_size=16, max_size=16), st.integers(0, 2**32))
def test_every_replica_that_runs_is_ranked_once(replicas: list[Replica], key: bytes | None, seed: int) -> None:
    found = order(replicas, key, seed=seed)
    assert sorted(found) == sorted(one.address for one in replicas if one.state in (READY, DRAINING))
    by_address = {one.address: one for one in replicas}
    kinds = [
        2 if by_address[one].state is DRAINING else int("llama" not in by_address[one].adapters) for one in found
    ]
    assert kinds == sorted(kinds)
