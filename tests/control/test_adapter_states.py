"""What a promotion, a rollback and engines' reports come to, whatever came before."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.adapters import states
from control.adapters.states import LEGAL, Versions
from control.problems import Problem
from control.store.values import AdapterVersion

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
HOST, OTHER = "host_1", "host_2"


def version(number: int, **more: Any) -> AdapterVersion:
    usual = {"tenant_id": "acme", "name": "bot", "sha256": "ab" * 32, "size_bytes": 1, "created_by": "", "facts": {}}
    return AdapterVersion(number=number, **{**usual, "state": "validated", **more})


class Adapter:
    """One, as a user sees it; its clock goes on by a second with each step."""

    def __init__(self, *versions: AdapterVersion) -> None:
        self.versions = versions
        self.now = NOW

    def take(self, changed: Versions) -> None:
        fresh = {one.number: one for one in changed}
        self.versions = tuple(fresh.get(one.number, one) for one in self.versions)
        self.now += dt.timedelta(seconds=1)

    def promote(self, number: int, weight: int = 100) -> None:
        self.take(states.promote(self.versions, number, weight, self.now))

    def stage(self, number: int, host: str = HOST, hosts: tuple[str, ...] = (HOST,)) -> None:
        self.take(states.stage(self.versions, number, host, hosts, self.now))

    def roll_back(self) -> None:
        self.take(states.roll_back(self.versions, self.now))

    def shares(self) -> dict[int, int | None]:
        return {one.number: one.weight for one in self.versions if one.state == "live"}

    def state(self, number: int) -> str:
        return states.version_of(self.versions, number).state


def with_first_live(*more: AdapterVersion) -> Adapter:
    adapter = Adapter(version(1), *more)
    adapter.promote(1)
    adapter.stage(1)
    return adapter


def refused(act: Any, *given: Any) -> str:
    with pytest.raises(Problem) as problem:
        act(*given)
    assert problem.value.status in (404, 409)
    return problem.value.code


def test_what_is_promoted_is_live_when_engines_have_it_and_the_one_before_until_then() -> None:
    adapter = with_first_live(version(2))
    adapter.promote(2)
    assert adapter.shares() == {1: 100}
    adapter.stage(2)
    assert adapter.shares() == {2: 100}
    assert adapter.state(1) == "staged"  # engines still have it


def test_engines_may_have_a_version_before_anybody_wants_it() -> None:
    adapter = with_first_live(version(2))
    adapter.stage(2)
    assert (adapter.shares(), adapter.state(2)) == ({1: 100}, "staged")
    adapter.promote(2)
    assert adapter.shares() == {2: 100}


def test_the_engines_of_all_hosts_have_to_have_it() -> None:
    adapter = with_first_live(version(2))
    adapter.promote(2)
    adapter.stage(2, HOST, (HOST, OTHER))
    assert adapter.shares() == {1: 100}
    adapter.stage(2, OTHER, (HOST, OTHER))
    assert adapter.shares() == {2: 100}


def test_a_promotion_that_fails_leaves_what_is_live() -> None:
    adapter = with_first_live(version(2))
    adapter.promote(2)
    adapter.take(states.fail(adapter.versions, 2, "the engine said 400"))
    found = states.version_of(adapter.versions, 2)
    assert (adapter.shares(), found.state, found.failure) == ({1: 100}, "validated", "the engine said 400")
    adapter.stage(2)  # too late: nobody wants it any more
    assert adapter.shares() == {1: 100}
    adapter.promote(2)
    assert adapter.shares() == {2: 100}


def test_the_last_of_several_promotions_counts() -> None:
    adapter = with_first_live(version(2), version(3))
    adapter.promote(2)
    adapter.promote(3)
    adapter.stage(2)
    assert adapter.shares() == {1: 100}
    adapter.stage(3)
    assert adapter.shares() == {3: 100}


def test_two_versions_share_the_requests_and_a_third_does_not() -> None:
    adapter = with_first_live(version(2), version(3))
    adapter.promote(2, 20)
    adapter.stage(2)
    assert adapter.shares() == {1: 80, 2: 20}
    adapter.promote(1, 30)
    assert adapter.shares() == {1: 30, 2: 70}
    assert refused(adapter.promote, 3, 50) == "two_versions_live"
    adapter.promote(2)
    assert adapter.shares() == {2: 100}
    assert refused(with_first_live().promote, 1, 50) == "nothing_to_share_with"


def test_a_share_of_nothing_is_all() -> None:
    adapter = with_first_live(version(2))
    adapter.promote(2, 20)
    adapter.take(states.retire(adapter.versions, 1, adapter.now))
    adapter.stage(2)
    assert adapter.shares() == {2: 100}


def test_a_rollback_is_at_once_and_cancels_what_was_wanted() -> None:
    adapter = with_first_live(version(2), version(3))
    assert refused(adapter.roll_back) == "nothing_to_roll_back"
    adapter.promote(2)
    adapter.stage(2)
    adapter.promote(3)
    adapter.roll_back()
    assert adapter.shares() == {1: 100}
    adapter.stage(3)
    assert adapter.shares() == {1: 100}
    adapter.promote(3, 10)
    assert adapter.shares() == {1: 90, 3: 10}
    adapter.roll_back()
    assert adapter.shares() == {1: 100}


def live_in_turn(*numbers: int) -> Adapter:
    """Each had all requests, one after the other; a canary is a version in the list that was not."""
    adapter = Adapter(*(version(number, state="staged") for number in range(1, 5)))
    for number in numbers:
        adapter.promote(number)
    return adapter


def test_each_rollback_goes_one_further_back_and_never_to_a_canary_or_to_what_was_given_up() -> None:
    adapter = live_in_turn(1, 3)
    adapter.promote(2, 10)
    adapter.promote(3)  # the canary is ended
    adapter.promote(4)
    for number in (3, 1):
        adapter.roll_back()
        assert adapter.shares() == {number: 100}
    assert "no version was live before version 1: promote version 2 or 3 or 4" in why_not(adapter)
    adapter.promote(4)  # it counts from here on
    adapter.promote(2)
    adapter.roll_back()
    assert adapter.shares() == {4: 100}


def test_a_rollback_of_an_ab_ends_it_and_what_it_took_off_is_given_up() -> None:
    adapter = live_in_turn(1, 2, 3)
    adapter.promote(2, 50)
    adapter.roll_back()
    assert adapter.shares() == {3: 100}
    adapter.roll_back()
    assert adapter.shares() == {1: 100}


def test_after_a_retirement_a_rollback_goes_to_what_was_live_before_or_says_that_it_is_retired() -> None:
    adapter = live_in_turn(1, 2)
    adapter.take(states.retire(adapter.versions, 2, adapter.now))
    adapter.roll_back()
    assert adapter.shares() == {1: 100}
    adapter.take(states.retire(adapter.versions, 1, adapter.now))
    assert "version 1 was live and is retired, which is for good: promote version 3 or 4" in why_not(adapter)
    heir = live_in_turn(1)
    heir.promote(2, 20)
    heir.take(states.retire(heir.versions, 1, heir.now))
    assert heir.shares() == {2: 100}
    assert "version 1 was live and is retired" in why_not(heir)
    assert "no version is live, and none was: promote version 1" in why_not(Adapter(version(1)))


def test_a_rollback_that_waits_for_engines_is_no_promotion_in_the_history() -> None:
    adapter = live_in_turn(1, 2, 3)
    adapter.take(states.fail(adapter.versions, 2, "no place"))
    adapter.roll_back()
    assert adapter.shares() == {3: 100}
    adapter.stage(2)
    assert adapter.shares() == {2: 100}
    adapter.roll_back()
    assert adapter.shares() == {1: 100}


_ENDS: dict[str, Any] = {
    "engines refuse it": lambda adapter: adapter.take(states.fail(adapter.versions, 2, "damaged")),
    "time is over": lambda adapter: adapter.take(
        states.settle(adapter.versions, (HOST,), adapter.now + states.PROMOTED_WITHIN)
    ),
    "it is retired": lambda adapter: adapter.take(states.retire(adapter.versions, 2, adapter.now)),
    "another one is promoted": lambda adapter: adapter.promote(4),
    "another one is to share": lambda adapter: adapter.promote(4, 10),
}


@pytest.mark.parametrize("end", _ENDS)
def test_a_rollback_of_which_nothing_comes_has_given_up_nothing(end: str) -> None:
    adapter = live_in_turn(1, 2, 3)
    adapter.take(states.fail(adapter.versions, 2, "no place"))
    adapter.roll_back()
    adapter.roll_back()  # once more: it is the same one
    assert (adapter.shares(), states.version_of(adapter.versions, 2).wanted_weight) == ({3: 100}, 100)
    _ENDS[end](adapter)
    adapter.promote(4)
    assert not any(one.wanted_back for one in adapter.versions)
    adapter.roll_back()
    assert adapter.shares() == {3: 100}


def test_a_promotion_of_what_a_rollback_waits_for_gives_up_nothing() -> None:
    adapter = live_in_turn(1, 2, 3)
    adapter.take(states.fail(adapter.versions, 2, "no place"))
    adapter.roll_back()
    adapter.promote(2)
    adapter.stage(2)
    adapter.roll_back()
    assert adapter.shares() == {3: 100}


def why_not(adapter: Adapter) -> str:
    with pytest.raises(Problem) as problem:
        adapter.roll_back()
    assert problem.value.code == "nothing_to_roll_back"
    return problem.value.detail


def test_a_rollback_to_one_that_engines_had_no_place_for_waits_for_them() -> None:
    adapter = with_first_live(version(2))
    adapter.promote(2)
    adapter.stage(2)
    adapter.take(states.fail(adapter.versions, 1, "no place"))
    adapter.roll_back()
    found = states.version_of(adapter.versions, 1)
    assert (adapter.shares(), found.wanted_weight, found.failure) == ({2: 100}, 100, None)
    adapter.stage(1)
    assert adapter.shares() == {1: 100}


def test_what_a_host_had_for_an_earlier_promotion_counts_for_no_later_one() -> None:
    adapter = with_first_live(version(2), version(3))
    adapter.promote(2)
    adapter.stage(2, HOST, (HOST, OTHER))
    adapter.promote(3)  # and version 2 is unloaded
    adapter.promote(2)
    adapter.stage(2, OTHER, (HOST, OTHER))
    assert adapter.shares() == {1: 100}
    adapter.stage(2, HOST, (HOST, OTHER))
    assert adapter.shares() == {2: 100}


def test_what_is_retired_or_was_not_validated_comes_nowhere() -> None:
    adapter = with_first_live(version(2, state="uploaded", failure="a pickle"), version(3))
    assert refused(adapter.promote, 2) == "wrong_state"
    assert refused(adapter.promote, 9) == "not_found"
    adapter.take(states.retire(adapter.versions, 1, adapter.now))
    assert adapter.shares() == {}
    assert refused(adapter.promote, 1) == "wrong_state"
    assert refused(states.retire, adapter.versions, 1, adapter.now) == "wrong_state"
    assert refused(states.fail, adapter.versions, 1, "away") == "wrong_state"


def test_a_live_version_is_not_deleted() -> None:
    adapter = with_first_live()
    assert refused(states.check_deletable, adapter.versions[0]) == "version_live"
    states.check_deletable(replace(adapter.versions[0], state="retired"))


_STEPS: dict[str, Any] = {
    "promote": Adapter.promote,
    "share": lambda adapter, number: adapter.promote(number, 25),
    "stage": Adapter.stage,
    "stage_one": lambda adapter, number: adapter.stage(number, OTHER, (HOST, OTHER)),
    "fail": lambda adapter, number: adapter.take(states.fail(adapter.versions, number, "no")),
    "roll_back": lambda adapter, _: adapter.roll_back(),
    "retire": lambda adapter, number: adapter.take(states.retire(adapter.versions, number, adapter.now)),
}
_steps = st.lists(
    st.tuples(st.sampled_from(sorted(_STEPS)), st.integers(1, 3)),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(_steps)
def test_whatever_happens_shares_add_up_and_states_go_only_where_they_may(steps: list[tuple[str, int]]) -> None:
    adapter = Adapter(version(1), version(2), version(3, state="uploaded"))
    for step, number in steps:
        before = adapter.versions
        try:
            _STEPS[step](adapter, number)
        except Problem as problem:
            assert problem.status == 409  # noqa: PT017 - what a caller sees
        shares = adapter.shares()
        assert len(shares) <= 2
        assert sum(weight or 0 for weight in shares.values()) == (100 if shares else 0)
        assert sum(one.wanted_weight is not None for one in adapter.versions) <= 1
        for old, new in zip(before, adapter.versions, strict=True):
            assert (new.state == "live") == (new.weight is not None)
            assert new.state == old.state or _may_reach(old.state, new.state)


def _may_reach(old: Any, new: Any) -> bool:
    """In one step, or in the two that a promotion of a validated version takes when engines have it."""
    return new in LEGAL[old] or (old, new) == ("validated", "live")
