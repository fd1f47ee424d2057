"""Which engines are to have which versions, when a version may be live, and when what has failed is tried again."""

import time
from collections.abc import Collection
from typing import Any

import pytest
from msgspec.structs import replace

from engines.loading.calls import Calls
from engines.loading.keeping import Keeping, Seen
from engines.loading.next_step import Rank
from engines.loading.promotion import Fails, Fits, Outcome, verdict
from engines.loading.reasons import Reason
from engines.loading.resting import LONGEST_S, Resting
from engines.loading.seating import Seating, Seats
from engines.loading.wishes import Wishes
from headgate.counters.address import EMBEDDED
from headgate.directory.directory import Directory
from headgate.directory.rows import (
    AdapterEntry,
    AdapterState,
    AdapterVersionEntry,
    GrantEntry,
    Row,
    TenantEntry,
    change_to,
)
from headgate.engine_rows import EngineRow
from headgate.feed.messages import calls_alone
from headgate.snapshot import Snapshot, TargetRow, TenantRow, ZonedTarget
from headgate.tenants import Tenants
from tests.tenants.still import Still

REFUSED = Fails(Reason.REFUSED, "no")


def target(provider: str, *, loads: bool = True) -> TargetRow:
    return TargetRow(provider, "openai", f"provider/{provider}@0", "m", "continuous", 1, 1, 1, has_adapters=loads)


def adapter(tenant: str, name: str, base_model: str, state: AdapterState = "live", **more: Any) -> list[Row]:
    weight = 100 if state == "live" else None
    version = AdapterVersionEntry(tenant, name, 1, state, "1" * 64, weight, **more)
    return [AdapterEntry(tenant, name, base_model), version]


CHAT = [
    ZonedTarget("here", target("llama")),
    ZonedTarget("eu", target("spare")),
    ZonedTarget("here", target("far", loads=False)),
]
SNAPSHOT = Snapshot(
    1,
    0,
    1,
    keys=[],
    tenants={
        "acme": TenantRow({"chat": [target("own")]}, shared=("shared/writer",)),
        "plain": TenantRow({"chat": [one.target for one in CHAT]}),
    },
    models={},
    chains={"chat": CHAT, "code": [ZonedTarget("here", target("coder"))]},
    engines={
        name: EngineRow(f"provider/{name}@0", (), 8, max_loras=4) for name in ("llama", "spare", "coder", "own")
    },
)


def wished(*rows: Row) -> tuple[Wishes, Tenants]:
    following = Still(Directory(1, [[change_to(row) for row in rows]]))
    wishes = Wishes(following)
    wishes.read(SNAPSHOT)
    return wishes, Tenants(SNAPSHOT, following)


def engines_of(wishes: Wishes, adapter: str) -> set[str]:
    return {engine for engine, some in wishes.by_engine.items() if any(name.startswith(adapter) for name in some)}


def test_an_adapter_is_on_every_engine_that_its_tenants_requests_may_come_to_and_on_no_other() -> None:
    tenants = (TenantEntry("euro", zones=("eu",)), GrantEntry("euro", "chat"), GrantEntry("euro", "shared/writer"))
    wishes, known = wished(
        *tenants,
        *adapter("acme", "bot", "chat"),
        *adapter("plain", "bot", "chat"),
        *adapter("euro", "bot", "chat"),
        *adapter("nobody", "bot", "chat"),
        *adapter("plain", "sql", "code"),
        *adapter("shared", "writer", "chat"),
        *adapter("shared", "coder", "code"),
    )
    found = {
        name: engines_of(wishes, name) for name in ("acme/bot", "plain/bot", "euro/bot", "nobody/bot", "plain/sql")
    }
    assert found == {
        "acme/bot": {"own"},  # its own targets of the model
        "plain/bot": {"llama", "spare"},
        "euro/bot": {"spare"},  # the engine in its zone
        "nobody/bot": set(),
        "plain/sql": set(),  # a model that it may not use
    }
    assert engines_of(wishes, "shared/writer") == {"llama", "spare", "own"}
    assert engines_of(wishes, "shared/coder") == {"coder"}  # granted to nobody yet
    for tenant in ("acme", "plain", "euro"):
        row = known.find(tenant)
        assert row
        assert row.aliases
        for alias, made in row.aliases.items():
            assert {one.provider for one in made.targets} <= engines_of(wishes, alias)


def test_who_is_granted_a_shared_adapter_later_finds_it_on_engines_of_its_own() -> None:
    directory = Directory(1, [[change_to(row) for row in adapter("shared", "writer", "chat")]])
    wishes, own = Wishes(Still(directory)), replace(SNAPSHOT, tenants={})
    wishes.read(own)
    assert engines_of(wishes, "shared/writer") == {"llama", "spare"}
    wishes.read(SNAPSHOT)
    assert engines_of(wishes, "shared/writer") == {"llama", "spare", "own"}


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
    wishes, _ = wished(*adapter("plain", "bot", "chat", state, wanted_weight=wanted))
    assert [version.rank for version in wishes.by_engine["llama"].values()] == ([rank] if rank is not None else [])


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
    assert resting.failure_of("bot", 1) == REFUSED
    resting.note("bot", 1, REFUSED)
    resting.keep({"bot": 1, "other": 1}.get)
    assert resting.names() == {"bot"}
    assert resting.failure_of("bot", 2) is None
    resting.keep({"bot": 2}.get)
    assert resting.failure_of("bot", 1) is None
    assert resting.note("bot", 2, REFUSED)
    resting.end("bot")
    assert resting.names() == frozenset()


def test_what_an_engine_was_called_for_before_it_was_edited_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cluster has another name since."""
    monkeypatch.setattr("engines.loading.calls.REMEMBER_S", 0.0)
    calls = Calls(EMBEDDED, "gw")
    for cluster in ("provider/llama@1", "provider/llama@2"):
        assert calls.hear(calls_alone("gw", {cluster: ["acme/bot@1-00000000"]}).encode())
        assert calls.of(cluster).keys() == {"acme/bot@1-00000000"}
        heard = time.monotonic()
        while time.monotonic() == heard:
            pass
    assert calls.of("provider/llama@1") == {}


def test_of_a_thousand_live_adapters_those_that_are_asked_for_have_the_places() -> None:
    """One that is asked for takes the place of what was used longest ago, and that is all that moves."""
    names = [f"acme/bot-{number}@1-00000000" for number in range(1000)]
    ranks = dict.fromkeys(names, Rank.LIVE)
    keeping, seating, called = Keeping(), Seating(), dict[str, float]()

    def turn(now: float, *asked: str, verified: Collection[str] = ()) -> Seats:
        called.update(dict.fromkeys(asked, now))
        seen = Seen(now, frozenset(seats.seated), frozenset())
        return seating.take(keeping.wanted(ranks, seen, now, 0.0, called), 4, seen, now, verified)

    seats = Seats()
    seats = turn(0.0)
    oldest, *others = seats.seated
    seats = turn(1.0, *others)
    comer = next(name for name in names if name not in seats.seated)
    seats = turn(2.0, comer)
    assert (comer in seats.seated, seats.unverified) == (False, (comer,))
    seats = turn(2.25, comer, verified=[comer])
    assert (set(seats.seated), seats.gone, seats.leaving) == ({comer, *others}, {oldest: "demand"}, {oldest})
    for quarters in range(10, 80):
        seats = turn(quarters / 4)
        assert (set(seats.seated), seats.gone) == ({comer, *others}, {})
