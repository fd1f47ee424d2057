"""The directory in memory, against a plain model of it: the same whatever the order of changes."""

from hypothesis import given, settings

from headgate.directory.directory import Directory
from headgate.directory.rows import KeyRow, PlanEntry, TenantEntry, change_to, gone
from tests.directory.changes import Model, histories


@settings(max_examples=300, deadline=None)
@given(histories())
def test_it_has_what_the_rows_say_after_any_changes(history: list[list]) -> None:
    model, directory = Model(), Directory()
    for version, changes in enumerate(history, 1):
        before = {tenant: directory.tenant_version(tenant) for tenant in model.tenants()}
        looked = {tenant: model.made_of(tenant) for tenant in model.tenants()}
        directory.take(version, changes)
        model.take(changes)
        model.check(directory)
        for tenant, number in before.items():
            if model.made_of(tenant) != looked[tenant]:
                assert directory.tenant_version(tenant) > number
    again = Directory(len(history), [model.changes()], directory)
    model.check(again)
    assert all(again.tenant_version(tenant) >= directory.tenant_version(tenant) for tenant in model.tenants())


def test_versions_of_tenants_go_up_also_when_the_database_has_gone_back() -> None:
    first = Directory()
    first.take(50, [change_to(TenantEntry("acme", version=50))])
    second = Directory(20, [[change_to(TenantEntry("acme", version=20))]], first)
    assert (second.version, second.tenant_version("acme")) == (20, 51)
    second.take(21, [change_to(TenantEntry("acme", disabled=True, version=21))])
    third = Directory(21, [], second)
    assert second.tenant_version("acme") == 52
    assert third.tenant_version("acme") == 53


def test_a_plan_that_changes_is_a_change_of_its_tenants() -> None:
    directory = Directory()
    directory.take(1, [change_to(TenantEntry("acme", plan="gold")), change_to(TenantEntry("other"))])
    directory.take(2, [change_to(PlanEntry("gold", {"rpm": 5}))])
    assert (directory.tenant_version("acme"), directory.tenant_version("other")) == (2, 1)
    directory.take(3, [gone(PlanEntry, ("gold",))])
    assert (directory.tenant_version("acme"), directory.plan("gold")) == (3, None)


def test_keys_without_limits_are_no_change_of_their_tenant() -> None:
    directory = Directory()
    row = KeyRow("key_1", "acme", bytes(32), "p1", "developer", limits={"rpm": 1})
    directory.take(1, [change_to(row)])
    directory.take(2, [change_to(KeyRow("key_2", "acme", b"\1" * 32, "p1", "developer"))])
    assert (directory.tenant_version("acme"), directory.limited_keys("acme")) == (1, {"key_1": {"rpm": 1}})
    directory.take(3, [gone(KeyRow, ("key_1",))])
    assert (directory.tenant_version("acme"), directory.limited_keys("acme")) == (3, {})
    assert directory.key(bytes(32)) is None
