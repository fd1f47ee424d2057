"""Whom to ask for a tenant: who wins, what closes one, and what is kept for how long."""

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from headgate.credits import CreditsRow, Ending
from headgate.directory.directory import Directory
from headgate.directory.rows import (
    CreditsEntry,
    GrantEntry,
    KeyRow,
    LimitsEntry,
    PlanEntry,
    Row,
    TenantEntry,
    change_to,
    gone,
)
from headgate.limits import GivenLimits, LimitRow, LimitsRow
from headgate.prices import TermsRow
from headgate.snapshot import ModelRow, PlanRow, Snapshot, TargetRow, TenantRow, ZonedTarget
from headgate.tenants import Tenants
from tests.tenants.still import Still

EU = TargetRow("eu", "openai", "provider/eu@0", "m", "final", 0, 1, 1)
US = TargetRow("us", "openai", "provider/us@0", "m", "final", 1, 1, 1)
BOTH = [ZonedTarget("eu", EU), ZonedTarget("us", US)]
MODEL = ModelRow("s", "w", 1, 1000)
RPM = LimitRow("rpm", 7)
SNAPSHOT = Snapshot(
    1,
    0,
    1,
    keys=[],
    tenants={"yaml": TenantRow({"chat": [EU]}, LimitsRow((RPM,), {"ci": (LimitRow("rpm", 1, by=("key",)),)}))},
    models={"chat": MODEL, "big": MODEL},
    chains={"chat": BOTH, "big": [ZonedTarget("us", US)]},
    plans={"file": PlanRow(GivenLimits({"rpm": LimitRow("rpm", 60)}), ("eu",))},
)


def key(name: str, tenant: str, limits: dict[str, Any] | None = None) -> KeyRow:
    return KeyRow(name, tenant, name.encode().ljust(32), "p", "developer", limits=limits)


def by_key(kind: str, cap: int) -> tuple[LimitRow, ...]:
    return (LimitRow(kind, cap, by=("key",)),)


class Known:
    """Tenants of a directory that the test changes."""

    def __init__(self, *rows: Row, snapshot: Snapshot = SNAPSHOT) -> None:
        self.directory = Directory(1, [[change_to(row) for row in rows]])
        self.tenants = Tenants(snapshot, Still(self.directory))

    def change(self, *rows: Row) -> None:
        self.directory.take(self.directory.version + 1, [change_to(row) for row in rows])


def terms_of(known: Known) -> dict[str, TermsRow | None]:
    return {name: row.terms for name in known.tenants.names() if (row := known.tenants.find(name))}


def test_terms_are_a_tenants_own_or_its_plans() -> None:
    terms, stored = TermsRow(Decimal("0.9")), TermsRow(Decimal("1.2"), {"chat": Decimal(0)})
    known = Known(
        TenantEntry("filed", plan="file"),
        TenantEntry("stored", plan="p"),
        TenantEntry("own", plan="p", pricing={"models": {"chat": {"markup": "1000%"}}}),
        TenantEntry("plain", plan="q"),
        TenantEntry("none"),
        TenantEntry("yaml", plan="file", pricing={"discount": "50%"}),
        PlanEntry("p", {"rpm": 5}, pricing={"markup": "20%", "models": {"chat": {"discount": "100%"}}}),
        PlanEntry("q", {}),
        snapshot=replace(SNAPSHOT, plans={"file": PlanRow(terms=terms)}),
    )
    own = TermsRow(models={"chat": Decimal(11)})
    expected = {"filed": terms, "stored": stored, "own": own, "plain": None, "none": None, "yaml": None}
    assert terms_of(known) == expected
    known.change(PlanEntry("q", {}, pricing={"discount": "2.5%"}), TenantEntry("own", plan="p"))
    assert terms_of(known) == expected | {"plain": TermsRow(Decimal("0.975")), "own": stored}


@pytest.mark.parametrize(
    ("pricing", "problem"),
    [
        ({"discount": 10}, "expected a percentage such as 10% or 2.5%, found 10"),
        ({"discount": "101%"}, "expected a percentage of at most 100%"),
        ({"models": {"chat": {"markup": "1001%"}}}, "expected a percentage of at most 1000%"),
        ({"discount": "1%", "markup": "1%"}, "both a markup and a discount"),
        ({"models": {"chat": {"rebate": "1%"}}}, "unknown term 'rebate'"),
        ({"models": ["chat"]}, "no mapping"),
    ],
)
def test_pricing_that_can_not_be_read_closes_the_tenant(pricing: dict[str, Any], problem: str) -> None:
    """Nothing goes through at a price that nobody has set."""
    known = Known(
        TenantEntry("t", pricing=pricing), TenantEntry("planned", plan="p"), PlanEntry("p", {}, pricing=pricing)
    )
    with capture_logs() as logs:
        assert [known.tenants.find(name) for name in ("t", "planned")] == [None, None]
    assert known.tenants.is_misconfigured("t")
    assert [entry["problem"].partition(" can't be read: ")[0] for entry in logs] == [
        "its pricing",
        'the pricing of its plan "p"',
    ]
    assert all(problem in entry["problem"] for entry in logs)


def test_a_tenant_of_the_database() -> None:
    known = Known(
        TenantEntry("t", plan="p", zones=("us", "eu"), pin_targets=True),
        PlanEntry("p", {"rpm": 5, "tpm": 100}, zones=("us",)),
        LimitsEntry("t", "tenant", "", {"tpm": "unlimited", "concurrency": 2}),
        LimitsEntry("t", "user", "user_a", {"daily_usd": "2.50"}),
        *(GrantEntry("t", model) for model in ("chat", "big")),
        key("key_a", "t", {"rpm": 1}),
        key("key_b", "t"),
    )
    assert known.tenants.find("t") == TenantRow(
        {"chat": [US], "big": [US]},
        LimitsRow(
            (LimitRow("rpm", 5), LimitRow("concurrency", 2)),
            {"key_a": by_key("rpm", 1), "user_a": by_key("daily_usd", 2_500_000_000)},
        ),
        pins=True,
    )
    assert [known.tenants.find(name) for name in ("T", "", "p")] == [None] * 3


def test_the_file_wins() -> None:
    known = Known(
        TenantEntry("yaml", plan="gone", disabled=True),
        GrantEntry("yaml", "big"),
        LimitsEntry("yaml", "tenant", "", {"rpm": 1000}),
        key("key_a", "yaml", {"rpm": 2}),
        key("ci", "yaml", {"rpm": 3}),
        LimitsEntry("yaml", "user", "user_a", {"tpm": 4}),
        TenantEntry("t", plan="file"),
        PlanEntry("file", {"rpm": 1000}),
        GrantEntry("t", "chat"),
    )
    keys = {"ci": by_key("rpm", 1), "key_a": by_key("rpm", 2), "user_a": by_key("tpm", 4)}
    assert known.tenants.find("yaml") == TenantRow({"chat": [EU]}, LimitsRow((RPM,), keys))
    assert known.tenants.find("t") == TenantRow({"chat": [EU]}, LimitsRow((LimitRow("rpm", 60),)))


def test_an_account_is_a_tenants_of_the_file_and_of_the_database_alike() -> None:
    known = Known(TenantEntry("t"), TenantEntry("none"))
    rows = {name: known.tenants.find(name) for name in ("yaml", "t", "none")}
    ending = (Ending(1_800_000_000_000, 4),)
    known.change(*(CreditsEntry(name, 20_000, 9, ending, 2) for name in ("yaml", "t", "nobody")))
    account = CreditsRow(20_000, 9, ending)
    for name in ("yaml", "t"):
        before = rows[name]
        assert before is not None
        assert known.tenants.find(name) == replace(before, credits=account)
    assert known.tenants.find("none") == rows["none"]
    assert known.tenants.find("nobody") is None
    known.change(CreditsEntry("yaml", 20_000, 7, (), 3))
    row = known.tenants.find("yaml")
    assert row is not None
    assert row.credits == CreditsRow(20_000, 7)
    known.directory.take(9, [gone(CreditsEntry, (name,)) for name in ("yaml", "t")])
    assert {name: known.tenants.find(name) for name in rows} == rows


def test_without_a_directory_the_row_is_the_snapshots_own() -> None:
    tenants = Tenants(SNAPSHOT, Still())
    assert tenants.find("yaml") is SNAPSHOT.tenants["yaml"]
    assert tenants.find("nobody") is None


@pytest.mark.parametrize("closed", [{"disabled": True}, {"deleting": True}])
def test_nothing_goes_through_a_closed_tenant_and_what_has_ended_is_settled(closed: dict[str, bool]) -> None:
    known = Known(TenantEntry("t", **closed), GrantEntry("t", "chat"), LimitsEntry("t", "tenant", "", {"rpm": 5}))
    assert known.tenants.find("t") is None
    row = known.tenants.known("t")
    assert row is not None
    assert row.limits == LimitsRow((LimitRow("rpm", 5),))
    assert not known.tenants.is_misconfigured("t")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], 'neither gateway.yaml nor the database has its plan "p"'),
        ([PlanEntry("p", {"rpn": 5})], """the limits of its plan "p" can't be read: unknown limit 'rpn'"""),
        (
            [PlanEntry("p", {}), LimitsEntry("t", "tenant", "", {"rpm": 0})],
            "its limits can't be read: expected a whole number of at least 1, found 0",
        ),
    ],
)
def test_what_is_missing_closes_a_tenant_and_is_logged_once(rows: list[Row], problem: str) -> None:
    known = Known(TenantEntry("t", plan="p"), GrantEntry("t", "chat"), *rows)
    with capture_logs() as logs:
        assert [known.tenants.find("t"), known.tenants.known("t")] == [None, None]
        assert known.tenants.is_misconfigured("t")
    assert [(entry["log_level"], entry["tenant"], entry["problem"]) for entry in logs] == [("error", "t", problem)]
    known.change(PlanEntry("p", {"rpm": 5}), LimitsEntry("t", "tenant", "", {}))
    assert known.tenants.find("t") is not None
    assert not known.tenants.is_misconfigured("t")


def test_models_that_are_gone_or_out_of_reach_are_left_out_and_logged() -> None:
    known = Known(TenantEntry("t", zones=("eu",)), *(GrantEntry("t", model) for model in ("big", "chat", "gone")))
    with capture_logs() as logs:
        row = known.tenants.find("t")
    assert row == TenantRow({"chat": [EU]})
    assert [(entry["log_level"], entry["models"]) for entry in logs] == [("warning", ["big", "gone"])]


def test_of_a_key_whose_limits_cannot_be_read_nothing_passes() -> None:
    known = Known(
        TenantEntry("t"), GrantEntry("t", "chat"), key("key_a", "t", {"rpn": 5}), key("key_b", "t", {"rpm": 5})
    )
    row = known.tenants.find("t")
    assert row is not None
    assert row.limits == LimitsRow((), {"key_a": by_key("rpm", 0), "key_b": by_key("rpm", 5)})


def test_a_row_is_the_same_until_something_of_it_changes() -> None:
    known = Known(TenantEntry("t", plan="p"), PlanEntry("p", {}), GrantEntry("t", "chat"), TenantEntry("other"))
    first = known.tenants.find("t")
    known.change(TenantEntry("other", disabled=True), key("key_b", "t"), key("key_c", "other", {"rpm": 1}))
    assert known.tenants.find("t") is first
    changes: list[tuple[Row, LimitsRow | None]] = [
        (PlanEntry("p", {"rpm": 5}), LimitsRow((LimitRow("rpm", 5),))),
        (LimitsEntry("t", "tenant", "", {"rpm": 6}), LimitsRow((LimitRow("rpm", 6),))),
        (key("key_b", "t", {"rpm": 1}), LimitsRow((LimitRow("rpm", 6),), {"key_b": by_key("rpm", 1)})),
        (key("key_b", "t"), LimitsRow((LimitRow("rpm", 6),))),
    ]
    for row, limits in changes:
        known.change(row)
        found = known.tenants.find("t")
        assert found is not None
        assert found.limits == limits
    known.change(GrantEntry("t", "big"))
    assert (known.tenants.find("t") or TenantRow({})).models.keys() == {"chat", "big"}
    known.change(TenantEntry("t", plan="p", disabled=True))
    assert known.tenants.find("t") is None
    known.directory.take(known.directory.version + 1, [gone(TenantEntry, ("t",))])
    assert known.tenants.known("t") is None


@pytest.mark.parametrize("version", [3, 9, 12])
def test_a_directory_that_takes_the_others_place_is_seen(version: int) -> None:
    """Also when the database has gone back to an older state, or to another of the same number."""
    following = Still(Directory(9, [[change_to(TenantEntry("t")), change_to(GrantEntry("t", "chat"))]]))
    tenants = Tenants(SNAPSHOT, following)
    assert tenants.find("t") == TenantRow({"chat": [EU, US]})
    following.directory = Directory(version, [[change_to(TenantEntry("t"))]], before=following.directory)
    assert tenants.find("t") == TenantRow({})


def test_2_000_tenants_share_what_is_the_same() -> None:
    """Their rows take a small part of what a worker may."""
    names = [f"t{at}" for at in range(2_000)]
    models = [f"m{at}" for at in range(50)]
    snapshot = Snapshot(1, 0, 1, [], {}, dict.fromkeys(models, MODEL), chains=dict.fromkeys(models, BOTH))
    rows: list[Row] = [PlanEntry("p", {"rpm": 5, "tpm": 100, "daily_usd": 3})]
    for name in names:
        rows += [TenantEntry(name, plan="p"), *(GrantEntry(name, model) for model in models)]
    known = Known(*rows, snapshot=snapshot)
    tracemalloc.start()
    try:
        found = [known.tenants.find(name) for name in names]
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(row is not None and len(row.models) == 50 for row in found)
    assert size_bytes < 2_000_000
