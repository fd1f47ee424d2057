"""Whatever the directory goes through, what is kept of it is what would be made anew."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.directory.directory import Directory
from headgate.directory.rows import Change
from headgate.limits import GivenLimits, LimitRow, LimitsRow
from headgate.snapshot import ModelRow, PlanRow, Snapshot, TargetRow, TenantRow, ZonedTarget
from headgate.tenants import Tenants
from ledger.tables import Tables
from tests.directory.changes import NAMES, Model, histories
from tests.tenants.still import Still

TARGETS = {zone: TargetRow(zone, "openai", f"provider/{zone}@0", "m", "final", 0, 1, 1) for zone in NAMES}
CHAINS = {
    "a": [ZonedTarget("a", TARGETS["a"]), ZonedTarget("b", TARGETS["b"])],
    "b": [ZonedTarget("c", TARGETS["c"])],
}
ROW = TenantRow({"a": [TARGETS["a"]]}, LimitsRow((LimitRow("rpm", 2),)))
MODELS = {name: ModelRow("s", "w", 1, 1000) for name in CHAINS}


def snapshot(declared: tuple[str, ...], plans: dict[str, int]) -> Snapshot:
    """A gateway.yaml that declares these tenants, and these plans with so many requests."""
    rows = {name: PlanRow(GivenLimits({"rpm": LimitRow("rpm", most)})) for name, most in plans.items()}
    return Snapshot(1, 0, 1, [], dict.fromkeys(declared, ROW), MODELS, chains=CHAINS, plans=rows)


DECLARED = st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple)
PLANS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), max_size=2)
SNAPSHOTS = st.builds(snapshot, DECLARED, PLANS)


def what_is_said(tenants: Tenants) -> list[tuple[TenantRow | None, TenantRow | None, bool]]:
    return [(tenants.known(name), tenants.find(name), tenants.is_misconfigured(name)) for name in NAMES]


@given(histories(), SNAPSHOTS, st.integers(0, 12))
@settings(deadline=None, max_examples=50)
def test_a_worker(history: list[list[Change]], tables: Snapshot, replaced: int) -> None:
    """Also where the directory's file is replaced in between."""
    model, following = Model(), Still()
    tenants = Tenants(tables, following)
    for version, changes in enumerate(history, 1):
        model.take(changes)
        if version == replaced:
            following.directory = Directory(version, [model.changes()], following.directory)
        else:
            following.directory.take(version, changes)
        assert what_is_said(tenants) == what_is_said(Tenants(tables, Still(following.directory)))


@given(histories(), st.lists(st.none() | SNAPSHOTS, min_size=12, max_size=12), st.data())
@settings(deadline=None, max_examples=50)
def test_the_ledger(history: list[list[Change]], snapshots: list[Snapshot | None], data: st.DataObject) -> None:
    """All whose limits are others than they were when they were asked for are named."""
    directory = Directory()
    tables = Tables(Still(directory))
    asked: dict[str, LimitsRow] = {}
    for version, (changes, snapshot) in enumerate(zip(history, snapshots, strict=False), 1):
        directory.take(version, changes)
        others = tables.take(snapshot)
        for name in NAMES:
            row = tables.tenant(name)
            now = (row and row.limits) or LimitsRow()
            assert name in others or asked.get(name, now) == now
        asked = {name: row for name, row in asked.items() if name not in others}
        for name in data.draw(st.sets(st.sampled_from(NAMES))):
            asked[name] = tables.limits_of(name).row
        fresh = Tables(Still(directory))
        fresh.take(tables.snapshot())
        assert all(asked[name] == fresh.limits_of(name).row for name in asked)
        assert sorted(tables.limited()) == sorted(fresh.limited())
