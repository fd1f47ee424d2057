"""Which limits a request has to keep, and what they are called."""

import pytest

from headgate.counters.limits import TenantLimits
from headgate.counters.scripts import limit_key, limit_of, member_of, request_of, tenant_of
from headgate.limits import LimitRow, LimitsRow, user_name

ROW = LimitsRow(
    limits=(
        LimitRow("rpm", 60),
        LimitRow("rpm", 20, by=("key",)),
        LimitRow("rpm", 10, by=("key",), models=("big",)),
        LimitRow("daily_tokens", 100, by=("model", "user")),
        LimitRow("tpm", None),
    ),
    keys={"ci": (LimitRow("rpm", 5, by=("key",)), LimitRow("concurrency", 1, by=("key",)))},
)


def caps(key_id: str, model: str) -> list[tuple[str, int | None]]:
    limits = TenantLimits("acme", ROW).applying(key_id, model, "").limits
    return [(limit.kind.name, limit.row.cap) for limit in limits]


def test_a_keys_limits_take_the_place_of_the_general_ones_by_key() -> None:
    assert caps("web", "chat") == [("rpm", 60), ("rpm", 20), ("daily_tokens", 100)]
    assert caps("ci", "chat") == [("rpm", 60), ("daily_tokens", 100), ("rpm", 5), ("concurrency", 1)]


def test_models_keep_a_limit_to_some_requests() -> None:
    assert caps("web", "big") == [("rpm", 60), ("rpm", 20), ("rpm", 10), ("daily_tokens", 100)]


def test_scopes_and_names() -> None:
    limits = TenantLimits("acme", ROW)
    applying = limits.applying("web", "big", "Ann {}*")
    ann = user_name("Ann {}*")
    limit = applying.limits[-1]
    assert limit.name == f"daily_tokens:model=big,user={ann}"
    assert (limit.key_id, limit.model, limit.user) == ("", "big", ann)
    assert limits.applying_to("web", "big", ann) is applying
    assert len({limit.key for limit in applying.limits}) == len(applying.limits)
    assert all(tenant_of(key) == "acme" for key in applying.keys)


def test_users_are_not_told_apart_where_nothing_is_counted_by_them() -> None:
    limits = TenantLimits("acme", LimitsRow((LimitRow("rpm", 5),)))
    assert limits.applying("ci", "chat", "ann") is limits.applying("ci", "chat", "bob")
    assert limits.applying("ci", "chat", "ann").user == ""


@pytest.mark.parametrize(
    ("kind", "settles"),
    [("rpm", False), ("rps", False), ("tpm", True), ("concurrency", True), ("daily_requests", True)],
)
def test_what_has_anything_to_settle(kind: str, settles: bool) -> None:
    assert TenantLimits("acme", LimitsRow((LimitRow(kind, 5),))).applying("", "", "").settles == settles


def test_keys() -> None:
    assert request_of(member_of("20260101T000000-abc", "1-2")) == ("20260101T000000-abc", "1-2")
    assert tenant_of(limit_key("a.b-c", "rpm")) == "a.b-c"
    for name in ("rpm", "monthly_usd:key=7", "monthly_usd:key=x:y"):
        assert limit_of(limit_key("acme", name)) == name
        assert limit_of(limit_key("acme", name, 31)) == name
