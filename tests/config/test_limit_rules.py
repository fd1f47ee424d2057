"""Limits of gateway.yaml and what the tables say of them: the plan's, the tenant's in their place, keys and rules."""

import itertools
from collections.abc import Callable

import pytest

from headgate.compile import compile_snapshot
from headgate.config.check import Checked
from headgate.limits import KINDS, KINDS_OF_PARTS, NANO, SCOPES, LimitRow, LimitsRow
from headgate.snapshot import AlertsRow, Snapshot

Checking = Callable[[str], Checked]

MODELS = """\
providers: {a: {api: openai, base_url: "http://a/v1"}}
models:
  chat:
    targets: [{provider: a, model: x, max_output_tokens: 900}, {provider: a, model: y, max_output_tokens: 700}]
    price: {input: 1, output: 2}
  big: {targets: [{provider: a, model: z}], price: {input: 3, output: 4}}
  free: {targets: [{provider: a, model: z}]}
"""
DIGESTS = [f"{number:064x}" for number in range(3)]


@pytest.fixture
def compiled(check_text: Checking) -> Callable[[str], Snapshot]:
    def run(text: str) -> Snapshot:
        checked = check_text(MODELS + text)
        assert [str(problem) for problem in checked.problems + checked.warnings] == []
        assert checked.gateway
        return compile_snapshot(checked.gateway, 1)

    return run


Compiled = Callable[[str], Snapshot]


def limits(compiled: Compiled, plan: str, tenant: str = "{}", keys: tuple[str, ...] = ()) -> LimitsRow | None:
    """The row of a tenant with a plan, limits of its own and keys with theirs."""
    listed = ", ".join(
        f"{{name: k{number}, sha256: {digest}, limits: {given}}}"
        for number, (digest, given) in enumerate(zip(DIGESTS, keys, strict=False))
    )
    return compiled(
        f"plans: {{p: {plan}}}\n"
        f"tenants: {{t: {{plan: p, models: [chat, big], limits: {tenant}, keys: [{listed}]}}}}\n"
    ).tenants["t"].limits  # fmt: skip


def test_a_tenant_without_limits_has_none(compiled: Compiled) -> None:
    assert limits(compiled, "{}") is None
    assert limits(compiled, "{anniversary: 5, per: []}", "{}", ("{}",)) == LimitsRow(anniversary=5)
    assert limits(compiled, "{rpm: 1, per: [{by: [key], rpm: 1}]}", "{rpm: unlimited, per: []}") is None
    assert compiled("tenants: {t: {models: [free]}}\n").tenants["t"].limits is None


def test_a_number_is_a_hard_limit_of_every_kind(compiled: Compiled) -> None:
    backwards = ", ".join(f"{kind}: {number}" for number, kind in reversed(list(enumerate(KINDS_OF_PARTS, 1))))
    row = limits(compiled, f"{{{backwards}}}")
    money = {kind.name for kind in KINDS.values() if kind.dimension == "usd"}
    expected = (LimitRow(kind, n * NANO if kind in money else n) for n, kind in enumerate(KINDS_OF_PARTS, 1))
    assert row == LimitsRow(tuple(expected))


@pytest.mark.parametrize(
    ("written", "row"),
    [
        ("rpm: {limit: 5}", LimitRow("rpm", 5)),
        ("rpm: {limit: 5, burst: 3}", LimitRow("rpm", 5, burst=3, refill_ms=600_000)),
        ("rps: {limit: 5, burst: 3, refill: 250ms}", LimitRow("rps", 5, burst=3, refill_ms=250)),
        ("tpm: {soft: 4}", LimitRow("tpm", None, soft=4)),
        ("daily_usd: 0.000000001", LimitRow("daily_usd", 1)),
        ('daily_usd: "0.10"', LimitRow("daily_usd", 100_000_000)),
        ("monthly_usd: 9007199", LimitRow("monthly_usd", 9_007_199 * NANO)),
        (
            "monthly_usd: {limit: 100, soft: 99.5, overage: {ceiling: 100.1}}",
            LimitRow("monthly_usd", 100 * NANO, soft=99_500_000_000, ceiling=100_100_000_000),
        ),
        (
            "monthly_tokens: {limit: 100, overage: {ceiling: 101, price: 1.2}}",
            LimitRow("monthly_tokens", 100, ceiling=101, overage_price=1_200_000_000),
        ),
        (
            "daily_requests: {limit: 100, overage: {ceiling: 200, price: 0}}",
            LimitRow("daily_requests", 100, ceiling=200, overage_price=0),
        ),
        ("daily_tokens: {limit: 100, overage: {ceiling: 200}}", LimitRow("daily_tokens", 100, ceiling=200)),
        ("credits: 0", LimitRow("credits", None, floor=0)),
        ("credits: -2.5", LimitRow("credits", None, floor=-2_500_000_000)),
        ("credits: {low: 5}", LimitRow("credits", None, floor=0, low=5 * NANO)),
        ('credits: {floor: "-10", low: -3}', LimitRow("credits", None, floor=-10 * NANO, low=-3 * NANO)),
    ],
)
def test_what_a_mapping_says(written: str, row: LimitRow, compiled: Compiled) -> None:
    for of_plan, of_tenant in ((written, ""), ("", written)):
        found = limits(compiled, f"{{{of_plan}}}", f"{{{of_tenant}}}")
        assert found == LimitsRow((row,))


def test_credits_can_be_lifted_and_are_nothing_of_a_part(compiled: Compiled, check_text: Checking) -> None:
    assert limits(compiled, "{credits: {floor: 0, low: 5}}", "{credits: unlimited}") is None
    for where in ("limits: {per: [{by: [key], credits: 0}]}", "keys: [{name: a, limits: {credits: 0}}]"):
        problems = check_text(f"{MODELS}tenants: {{t: {{models: [chat], {where}}}}}\n").problems
        assert any('unknown key "credits"' in str(problem) for problem in problems), problems


def test_a_tenants_own_take_the_place_of_the_plans(compiled: Compiled) -> None:
    plan = "{rpm: {limit: 5, soft: 4, burst: 9}, tpm: 7, daily_usd: 1, anniversary: 15, per: [{by: [key], rpm: 2}]}"
    row = limits(compiled, plan, "{rpm: 6, tpm: unlimited, rps: 3}")
    key_rule = LimitRow("rpm", 2, by=("key",))
    own = (LimitRow("rps", 3), LimitRow("rpm", 6), LimitRow("daily_usd", NANO))
    assert row == LimitsRow((*own, key_rule), anniversary=15)
    row = limits(compiled, plan, "{anniversary: 1, rpm: unlimited, per: [{by: [user], tpm: 1}]}")
    rest = (LimitRow("tpm", 7), LimitRow("daily_usd", NANO), LimitRow("tpm", 1, by=("user",)))
    assert row == LimitsRow(rest, anniversary=1)


def test_a_tenant_needs_no_plan(compiled: Compiled) -> None:
    tenant = compiled("tenants: {t: {models: [chat], limits: {rpm: 3}}}\n").tenants["t"]
    assert tenant.limits == LimitsRow((LimitRow("rpm", 3),))


def test_rules_keep_their_order_and_scopes_have_one(compiled: Compiled) -> None:
    for by in itertools.permutations(("model", "user", "key")):
        row = limits(
            compiled,
            f"{{rpm: 9, per: [{{by: [{', '.join(by)}], tpm: 5, rps: 1}}, {{models: [chat, big], daily_usd: 1}}]}}",
        )
        assert row == LimitsRow(
            (
                LimitRow("rpm", 9),
                LimitRow("rps", 1, by=SCOPES),
                LimitRow("tpm", 5, by=SCOPES),
                LimitRow("daily_usd", NANO, models=("big", "chat")),
            )
        )


def test_the_same_kind_may_be_limited_for_each_scope_and_for_some_models(compiled: Compiled) -> None:
    row = limits(
        compiled,
        "{rpm: 9, per: [{by: [key], rpm: 8}, {by: [user], rpm: 7}, {by: [key, user], rpm: 6}, "
        "{models: [big], rpm: 5}, {by: [key], models: [big], rpm: 4}, {by: [], models: [chat], rpm: 3}]}",
    )
    assert row
    assert [one.cap for one in row.limits] == [9, 8, 7, 6, 5, 4, 3]


def test_keys_have_limits_of_their_own(compiled: Compiled) -> None:
    row = limits(compiled, "{rpm: 9}", "{}", ("{rpm: 5, daily_usd: {soft: 1}}", "{}", "{rps: 1}"))
    assert row
    assert row.keys == {
        "k0": (LimitRow("rpm", 5, by=("key",)), LimitRow("daily_usd", None, soft=NANO, by=("key",))),
        "k2": (LimitRow("rps", 1, by=("key",)),),
    }
    assert limits(compiled, "{}", "{}", ("{rpm: 5}",)) == LimitsRow(keys={"k0": (LimitRow("rpm", 5, by=("key",)),)})


@pytest.mark.parametrize(
    "tenant",
    [
        "plan: p, models: [chat, big]",
        "plan: p, models: [chat, free], limits: {monthly_usd: unlimited, per: []}",
        "plan: p, models: [chat, free], limits: {monthly_usd: unlimited, per: [{models: [chat], daily_usd: 1}]}",
    ],
)
def test_money_is_limited_where_it_is_counted(tenant: str, compiled: Compiled) -> None:
    compiled(f"plans: {{p: {{monthly_usd: 1, per: [{{by: [user], daily_usd: 1}}]}}}}\ntenants: {{t: {{{tenant}}}}}\n")


def test_how_long_an_answer_may_get_by_itself(compiled: Compiled, check_text: Checking) -> None:
    models = compiled("").models
    assert (models["chat"].default_max_tokens, models["big"].default_max_tokens) == (700, 4096)
    said = check_text(MODELS.replace("chat:", "chat:\n    default_max_tokens: 5000")).gateway
    assert said
    assert compile_snapshot(said, 1).models["chat"].default_max_tokens == 5000


def test_the_secret_of_alerts_is_not_in_the_tables(compiled: Compiled) -> None:
    rows = [
        compiled(f"alerts: {{webhook: '{webhook}', secret: {secret}}}\n").alerts
        for webhook in ("https://hooks.test/limits", "https://other.test")
        for secret in ("env:OPENAI_API_KEY", "file:secrets/anthropic")
    ]
    assert [row.webhook for row in rows if row] == ["https://hooks.test:443/limits"] * 2 + [
        "https://other.test:443"
    ] * 2
    assert len({row.secret for row in rows if row}) == 4, "one that was named before is not written over"
    assert not [text for row in rows for text in ("sk-environment-value", "sk-file-value") if text in repr(row)]
    assert isinstance(rows[0], AlertsRow)
    assert rows[0].secret.startswith("secrets/")
    assert compiled("").alerts is None
