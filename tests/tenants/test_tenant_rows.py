"""A tenant is the same whether gateway.yaml declares it or the database does."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.directory.directory import Directory
from headgate.directory.rows import GrantEntry, KeyRow, LimitsEntry, PlanEntry, Row, TenantEntry, change_to
from headgate.snapshot import Snapshot
from headgate.tenants import Tenants
from headgate.written_limits import written_limits
from tests.tenants.limits_written import entries, limits
from tests.tenants.still import Still

ZONES = {"inside": "eu", "abroad": "us", "other": "external"}
PROVIDERS: dict[str, Any] = {
    name: {"api": "openai", "base_url": f"http://{name}.test/v1", "zone": zone} for name, zone in ZONES.items()
}
PROVIDERS["inside"] |= {"api_keys": [{"key": "env:A"}, {"key": "env:B"}]}
REACH = {"one": ["inside"], "two": ["abroad", "inside"], "all": ["other", "abroad", "inside"]}
MODELS = {
    name: {
        "targets": [
            {"provider": provider, "model": f"up-{at}", "priority": len(providers) - at}
            for at, provider in enumerate(providers)
        ],
        "price": {"input": 1, "output": 2},
    }
    for name, providers in REACH.items()
}
NAMES = list(REACH)


def zone_lists() -> st.SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from(sorted(ZONES.values())), min_size=1, unique=True)


def terms() -> st.SearchStrategy[dict[str, Any]]:
    percent = st.decimals(0, 100, places=4, allow_nan=False).map("{:f}%".format)
    return st.tuples(st.sampled_from(["markup", "discount"]), percent).map(lambda one: {one[0]: one[1]})


def pricing() -> st.SearchStrategy[dict[str, Any] | None]:
    """Of all models, of single ones, or of both."""
    models = st.dictionaries(st.sampled_from(NAMES), terms(), min_size=1).map(lambda some: {"models": some})
    return st.none() | terms() | models | st.tuples(terms(), models).map(lambda both: both[0] | both[1])


TENANTS = st.fixed_dictionaries(
    {
        "models": st.lists(st.sampled_from(NAMES), unique=True),
        "zones": zone_lists(),
        "limits": entries(NAMES, lifts=True),
        "keys": st.dictionaries(st.sampled_from(["key_a", "key_b"]), limits()),
        "pin_targets": st.booleans(),
        "disabled": st.booleans(),
        "usage_retention": st.none() | st.integers(1, 3650).map("{}d".format),
        "pricing": pricing(),
        "plan": st.none() | st.tuples(entries(NAMES), zone_lists(), pricing()),
    }
)


def reach(said: dict[str, Any]) -> list[str]:
    """The models of which the tenant may reach something, found without any of our functions."""
    lists = [said["zones"], said["plan"][1] if said["plan"] else None]
    return [
        name
        for name in said["models"]
        if any(all(zones is None or ZONES[provider] in zones for zones in lists) for provider in REACH[name])
    ]


def snapshot_of(said: dict[str, Any], plan: dict[str, Any] | None) -> Snapshot | None:
    """The tables of a gateway.yaml with this tenant; None where it is refused, a plan's zones apart."""
    keys = [
        {"name": name, "sha256": f"{at:064x}", "limits": given}
        for at, (name, given) in enumerate(said["keys"].items())
    ]
    tenant = {**said, "keys": keys, "models": reach(said), "plan": "p" if plan is not None else None}
    usable = {model for rule in said["limits"].get("per", ()) for model in rule.get("models", ())}
    usable |= set((said["pricing"] or {}).get("models", ()))
    if not usable <= set(tenant["models"]):
        return None
    text = json.dumps(
        {
            "providers": PROVIDERS,
            "models": MODELS,
            "plans": {} if plan is None else {"p": plan},
            "tenants": {"yaml": {name: value for name, value in tenant.items() if value is not None}},
        }
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.json"
        path.write_text(text)
        checked = check(path, {"A": "a", "B": "b"})
    problems = [str(problem) for problem in checked.problems]
    assert all("no zone in common" in problem for problem in problems), problems
    return compile_snapshot(checked.gateway, 1) if checked.gateway else None


def rows_of(said: dict[str, Any], plan: dict[str, Any] | None) -> list[Row]:
    """The same tenant in the database, `plan` too."""
    tenant = TenantEntry(
        "database",
        plan="p" if said["plan"] else None,
        zones=None if said["zones"] is None else tuple(said["zones"]),
        pin_targets=said["pin_targets"],
        disabled=said["disabled"],
        usage_retention_days=None if said["usage_retention"] is None else int(said["usage_retention"][:-1]),
        pricing=said["pricing"],
    )
    rows: list[Row] = [tenant, LimitsEntry("database", "tenant", "", said["limits"])]
    rows += [GrantEntry("database", model) for model in said["models"]]
    rows += [
        KeyRow(name, "database", name.encode().ljust(32), "p", "developer", limits=given)
        for name, given in said["keys"].items()
    ]
    if plan is not None:
        zones = plan.get("zones")
        given = {name: value for name, value in plan.items() if name not in ("zones", "pricing")}
        rows.append(PlanEntry("p", given, None if zones is None else tuple(zones), pricing=plan.get("pricing")))
    return rows


def plan_of(said: dict[str, Any]) -> dict[str, Any] | None:
    if said["plan"] is None:
        return None
    given, zones, terms = said["plan"]
    return given | {name: value for name, value in (("zones", zones), ("pricing", terms)) if value is not None}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(said=TENANTS, of_yaml=st.booleans())
@example(
    said={
        "models": NAMES,
        "zones": ["eu", "us"],
        "limits": {"rpm": "unlimited", "monthly_usd": "12.5", "anniversary": 31},
        "keys": {"key_a": {"tpm": {"limit": 50, "burst": 2}}},
        "pin_targets": True,
        "disabled": False,
        "usage_retention": "400d",
        "pricing": {"discount": "10%", "models": {"two": {"markup": "2.5%"}}},
        "plan": ({"rpm": 50, "per": [{"by": ["key"], "rpm": 60}]}, ["us", "external"], {"markup": "20%"}),
    },
    of_yaml=True,
)
def test_a_tenant_is_the_same_wherever_it_is_declared(said: dict[str, Any], of_yaml: bool) -> None:
    """Whether its plan is gateway.yaml's or the database's, too."""
    plan = plan_of(said)
    snapshot = snapshot_of(said, plan)
    if snapshot is None:
        return
    if not of_yaml:
        changed = {"plans": {}}
        snapshot = Snapshot(**{name: getattr(snapshot, name) for name in snapshot.__struct_fields__} | changed)
    directory = Directory(1, [[change_to(row) for row in rows_of(said, None if of_yaml else plan)]])
    tenants = Tenants(snapshot, Still(directory))
    assert tenants.known("database") == tenants.known("yaml") == snapshot.tenants["yaml"]
    found = tenants.find("database")
    assert (found is None) == said["disabled"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"rpn": 5}, "unknown limit 'rpn'"),
        ({"rpm": 0}, "at least 1"),
        ({"rpm": True}, "whole number"),
        ({"rpm": "5"}, "whole number"),
        ({"rpm": {"limit": 5, "overage": {"ceiling": 6}}}, "rpm has no 'overage'"),
        ({"concurrency": {"soft": 5}}, "concurrency has no 'soft'"),
        ({"daily_usd": "1e3"}, "amount"),
        ({"daily_usd": {"limit": 1, "overage": 5}}, "no mapping"),
        ({"per": [{"by": ["team"], "rpm": 5}]}, "unknown scope 'team'"),
        ({"per": [5]}, "no mapping"),
        ({"anniversary": 32}, "at most 31"),
    ],
)
def test_what_is_not_known_is_refused(written: dict[str, Any], problem: str) -> None:
    """A limit that a worker does not understand must not look like none."""
    with pytest.raises(ValueError, match=problem):
        written_limits(written)
