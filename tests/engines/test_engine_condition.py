"""What becomes of a replica's state with each look at it."""

from dataclasses import replace

import pytest

from engines.watch.condition import SILENT_LOOKS, Known, Look, after
from engines.watch.exposition import GENERATED_TOKENS, Measured
from engines.watch.models import Served
from headgate.feed.replicas import ReplicaState

NEW = Known(ReplicaState.AWAY, 0.0)
OURS, OTHER = Served(frozenset({"llama"}), frozenset({"a@1"})), Served(frozenset({"gpt"}), frozenset())
WELL = Look(served=OURS, measured=Measured(running=3, waiting=0, started=100.0, counters={GENERATED_TOKENS: 50}))
REFUSES = Look(trouble="refuses connections")
SLOW = Look(trouble="no answer within 2 s", is_slow=True)
READY = after(NEW, WELL, "llama", 1.0, lives=False)


def test_one_that_is_well_and_serves_its_model_is_ready() -> None:
    assert (READY.state, READY.detail, READY.since) == (ReplicaState.READY, None, 1.0)
    assert READY.served == OURS
    assert not READY.is_idle


def test_one_that_serves_another_model_is_away_and_says_so() -> None:
    wrong = after(NEW, replace(WELL, served=OTHER), "llama", 1.0, lives=True)
    assert (wrong.state, wrong.detail) == (ReplicaState.AWAY, 'does not serve "llama"')
    assert after(wrong, replace(WELL, served=None), "llama", 2.0, lives=True).detail == 'does not serve "llama"'
    assert after(wrong, WELL, "llama", 3.0, lives=True).state is ReplicaState.READY


def test_any_name_will_do_where_none_is_given() -> None:
    assert after(NEW, replace(WELL, served=OTHER), None, 1.0, lives=False).state is ReplicaState.READY


@pytest.mark.parametrize(("lives", "state"), [(True, ReplicaState.STARTING), (False, ReplicaState.AWAY)])
def test_one_that_refuses_starts_while_its_process_does(lives: bool, state: ReplicaState) -> None:
    assert after(NEW, REFUSES, "llama", 1.0, lives=lives).state is state
    gone = after(READY, REFUSES, "llama", 2.0, lives=lives)
    assert (gone.state, gone.since, gone.detail) == (state, 2.0, "refuses connections")
    assert gone.served is None  # its adapters went with it
    assert gone.measured == Measured()
    assert after(gone, REFUSES, "llama", 3.0, lives=lives).since == 2.0


def test_one_that_is_slow_is_given_a_few_looks() -> None:
    known = READY
    for _ in range(SILENT_LOOKS - 1):
        known = after(known, SLOW, "llama", 2.0, lives=False)
        assert known.state is ReplicaState.READY
        assert known.measured.running == 3
    assert after(known, WELL, "llama", 3.0, lives=False) == READY
    assert after(known, SLOW, "llama", 3.0, lives=False).state is ReplicaState.AWAY
    assert after(NEW, SLOW, "llama", 3.0, lives=False).state is ReplicaState.AWAY


def test_a_new_process_is_noticed_by_its_start_or_by_its_counters() -> None:
    assert WELL.measured
    started = replace(WELL, measured=replace(WELL.measured, started=110.0))
    fell = replace(WELL, measured=Measured(counters={GENERATED_TOKENS: 49}))
    same = replace(WELL, measured=replace(WELL.measured, started=100.5, counters={GENERATED_TOKENS: 60}))
    assert after(READY, started, "llama", 5.0, lives=False).restarts == 1
    assert after(READY, started, "llama", 5.0, lives=False).since == 5.0
    assert after(READY, fell, "llama", 5.0, lives=False).restarts == 1
    assert after(READY, same, "llama", 5.0, lives=False).restarts == 0
    assert after(READY, replace(WELL, measured=None), "llama", 5.0, lives=False).measured == WELL.measured


def test_a_start_after_trouble_is_a_restart_too() -> None:
    assert WELL.measured
    gone = after(READY, REFUSES, "llama", 2.0, lives=False)
    back = replace(WELL, measured=replace(WELL.measured, started=110.0))
    assert after(gone, back, "llama", 3.0, lives=False).restarts == 1
    assert after(gone, WELL, "llama", 3.0, lives=False).restarts == 0
