"""What a planner is told of targets, and what messages can do to it."""

import json
from collections.abc import Mapping

from headgate.feed.messages import decoded, rests_alone, whole
from headgate.feed.states import EVERY_MODEL, FORGET_S, Rest, State, TargetStates

A, B = "provider/a@0123456789", "provider/b@0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def states_at(health: Mapping[str, State], *rests: Rest) -> tuple[TargetStates, Clock]:
    clock = Clock()
    states = TargetStates(clock)
    states.take_health("one", health)
    states.take_rests(rests)
    return states, clock


def test_what_nobody_speaks_of_is_good() -> None:
    assert TargetStates().of(A, "m") is State.OK
    states, _ = states_at({A: State.UNHEALTHY}, Rest(A, "m", 5))
    assert states.of(B, "m") is State.OK


def test_the_worse_of_health_and_rest_counts() -> None:
    states, _ = states_at({A: State.SATURATED, B: State.EJECTED}, Rest(A, "m", 5), Rest(B, "m", 5))
    assert states.of(A, "m") is State.RESTED
    assert states.of(A, "other") is State.SATURATED
    assert states.of(B, "m") is State.EJECTED


def test_states_are_ordered_from_good_to_worst() -> None:
    names = [state.name for state in sorted(State)]
    assert names == ["OK", "LOW", "SATURATED", "RESTED", "EJECTED", "UNHEALTHY", "REFUSED", "UNRESOLVED"]


def test_health_is_forgotten_when_nobody_speaks_and_rests_run_on() -> None:
    states, clock = states_at({A: State.UNHEALTHY}, Rest(A, "m", 60))
    clock.now += FORGET_S - 0.1
    assert states.of(A, "m") is State.UNHEALTHY
    clock.now += 0.2
    assert states.of(A, "m") is State.RESTED
    assert states.of(A, "other") is State.OK
    clock.now += 60
    assert states.of(A, "m") is State.OK


def test_the_next_message_is_the_whole_truth() -> None:
    states, _ = states_at({A: State.UNHEALTHY})
    states.take_health("one", {B: State.UNRESOLVED})
    assert (states.of(A, "m"), states.of(B, "m")) == (State.OK, State.UNRESOLVED)


def test_of_several_gateways_the_worst_counts_while_it_speaks() -> None:
    states, clock = states_at({A: State.UNHEALTHY})
    states.take_health("two", {A: State.EJECTED, B: State.SATURATED})
    assert (states.of(A, "m"), states.of(B, "m")) == (State.UNHEALTHY, State.SATURATED)
    clock.now += FORGET_S + 0.1
    states.take_health("two", {A: State.EJECTED})
    assert (states.of(A, "m"), states.of(B, "m")) == (State.EJECTED, State.OK)


def test_an_old_message_makes_no_rest_shorter() -> None:
    states, clock = states_at({}, Rest(A, "m", 30))
    states.take_rests((Rest(A, "m", 2),))
    states.take_rests(())
    clock.now += 29
    assert states.of(A, "m") is State.RESTED
    clock.now += 2
    assert states.of(A, "m") is State.OK


def test_a_refused_key_rests_with_all_models_until_it_is_replaced() -> None:
    states, clock = states_at({B: State.UNHEALTHY}, Rest(A, EVERY_MODEL, 30), Rest(A, "m", 30), Rest(B, "m", 30))
    assert [states.of(A, "m"), states.of(A, "other"), states.of(B, "m")] == [
        State.REFUSED, State.REFUSED, State.UNHEALTHY,
    ]  # fmt: skip
    states.take_rests((Rest(B, "m", 5),))
    assert states.of(A, "other") is State.REFUSED
    states.take_rests((Rest(B, "m", 5),), all_there_are=True)
    assert [states.of(A, "m"), states.of(A, "other")] == [State.RESTED, State.OK]
    states.take_rests((Rest(A, EVERY_MODEL, 3),), all_there_are=True)
    assert states.of(A, "other") is State.REFUSED
    clock.now += 4
    assert states.of(A, "other") is State.OK


def test_a_message_says_what_was_put_into_it() -> None:
    health = {A: State.UNHEALTHY, B: State.OK, "provider/c@1": State.SATURATED}
    said = decoded(whole("one", health, [Rest(A, "ö/m", 1.5)]).encode())
    assert said is not None
    assert said.gateway == "one"
    assert said.states() == {A: State.UNHEALTHY, "provider/c@1": State.SATURATED}
    assert said.all_rests() == (Rest(A, "ö/m", 1.5),)
    rests = decoded(rests_alone([Rest(A, "m", 1)]).encode())
    assert rests is not None
    assert rests.health is None


def test_messages_of_other_versions_and_of_nobody() -> None:
    newer = {"gateway": "x", "health": {A: "on_fire", B: "ejected"}, "rests": [], "more": {"y": 1}}
    said = decoded(json.dumps(newer).encode())
    assert said is not None
    assert said.states() == {B: State.EJECTED}
    for junk in (b"", b"{", b"[]", b"\xff", b'{"health": 7}', b'{"rests": [{"cluster": "x"}]}', b"[" * 100_000):
        assert decoded(junk) is None
