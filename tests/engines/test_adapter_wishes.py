"""Which engines are to have which versions, when a version may be live, and when what has failed is tried again."""

import pytest

from engines.loading.next_step import Rank
from engines.loading.promotion import Fails, Fits, Outcome, verdict
from engines.loading.reasons import Reason
from engines.loading.resting import LONGEST_S, Resting
from engines.loading.versions import wanted_by_engine
from headgate.directory.directory import Adapter
from headgate.directory.rows import AdapterEntry, AdapterState, AdapterVersionEntry
from headgate.snapshot import TargetRow, ZonedTarget

REFUSED = Fails(Reason.REFUSED, "no")


def chain(*providers: str) -> list[ZonedTarget]:
    rows = [TargetRow(one, "openai", f"provider/{one}@0", "m", "continuous", 1, 1, 1) for one in providers]
    return [ZonedTarget("internal", row) for row in rows]


def adapter(name: str, base_model: str, *states: AdapterState, wanted: int | None = None) -> Adapter:
    entries = [
        AdapterVersionEntry("acme", name, number, state, f"{number}" * 64, wanted_weight=wanted)
        for number, state in enumerate(states, 1)
    ]
    return Adapter(AdapterEntry("acme", name, base_model), tuple(entries))


def test_an_adapter_belongs_on_every_engine_that_its_base_model_is_served_by() -> None:
    chains = {"chat": chain("llama", "spare", "openai"), "code": chain("coder")}
    adapters = [adapter("bot", "chat", "live"), adapter("sql", "code", "live"), adapter("old", "gone", "live")]
    wanted = wanted_by_engine(adapters, chains, ["llama", "spare", "coder"])
    assert {engine: set(some) for engine, some in wanted.items()} == {
        "llama": {"acme/bot@1-11111111"},
        "spare": {"acme/bot@1-11111111"},
        "coder": {"acme/sql@1-11111111"},
    }


@pytest.mark.parametrize(
    ("state", "wanted", "rank"),
    [
        ("live", None, Rank.LIVE),
        ("live", 50, Rank.LIVE),
        ("staged", None, Rank.STAGED),
        ("validated", 100, Rank.AWAITED),
        ("validated", None, None),
        ("uploaded", None, None),
        ("retired", None, None),
    ],
)
def test_what_is_loaded_is_live_awaited_or_staged(state: AdapterState, wanted: int | None, rank: Rank | None) -> None:
    found = wanted_by_engine([adapter("bot", "chat", state, wanted=wanted)], {"chat": chain("llama")}, ["llama"])
    assert [version.rank for version in found["llama"].values()] == ([rank] if rank is not None else [])


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ({}, None),
        ({"a": None}, None),
        ({"a": Fits(), "b": None}, None),
        ({"a": Fits(), "b": Fits()}, Fits()),
        ({"a": None, "b": REFUSED}, REFUSED),
        ({"a": Fits(), "b": REFUSED}, REFUSED),
    ],
)
def test_one_replica_that_cannot_is_enough_for_a_no_and_all_are_for_a_yes(
    outcomes: dict[str, Outcome], found: Outcome
) -> None:
    assert verdict(outcomes) == found


def test_what_fails_rests_ever_longer_until_it_goes_well_or_its_row_changes() -> None:
    now = [0.0]
    resting = Resting(lambda: now[0])
    assert resting.note("bot", 1, REFUSED)
    assert not resting.note("bot", 1, REFUSED)
    assert resting.names() == {"bot"}
    for _ in range(30):
        resting.note("bot", 1, REFUSED)
    now[0] += LONGEST_S + 1
    assert resting.names() == frozenset()
    assert resting.failure_of("bot") == REFUSED
    resting.note("bot", 1, REFUSED)
    resting.keep({"bot": 1, "other": 1})
    assert resting.names() == {"bot"}
    resting.keep({"bot": 2})
    assert resting.failure_of("bot") is None
    assert resting.note("bot", 2, REFUSED)
    resting.end("bot")
    assert resting.names() == frozenset()
