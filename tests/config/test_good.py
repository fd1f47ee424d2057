"""What DESIGN.md shows is accepted, as YAML and as JSON, and means what it says."""

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from headgate.compile import compile_snapshot
from headgate.config.addresses import Address, Url
from headgate.config.check import Checked, check
from headgate.config.model import Gateway
from headgate.config.secrets import resolve
from headgate.prices import PriceRow
from headgate.snapshot import TargetRow
from tests.certificates import Authority

Checking = Callable[[str], Checked]

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
GOOD = Path(__file__).parent / "good"
DESIGN = (GOOD / "design.yaml").read_text()

SMALL = """\
providers: {a: {api: openai, base_url: "http://a/v1"}, b: {api: openai, base_url: "http://b/v1", zone: eu}}
models:
  m: {targets: [{provider: a, model: x}, {provider: b, model: y, priority: 0}]}
"""


def reached(gateway: Gateway, tenant: str, model: str) -> list[TargetRow]:
    return compile_snapshot(gateway, 1).tenants[tenant].models[model]


def as_json(text: str) -> str:
    document = yaml.safe_load(text)
    return json.dumps(document, indent="\t")


def gateway(checked: Checked) -> Gateway:
    assert [str(problem) for problem in checked.problems] == []
    assert checked.gateway is not None
    return checked.gateway


def test_design(check_text: Checking) -> None:
    design = gateway(check_text(DESIGN))
    assert design.listen.http == Address("127.0.0.1", 8080)
    assert design.listen.max_body_bytes == 32 * 1024 * 1024
    assert design.providers["local"].endpoints == [Url("http", "127.0.0.1", 8000, "")]
    assert design.providers["openai"].base_url == Url("https", "api.openai.com", 443, "/v1")
    assert design.providers["openai"].usage == "final"
    assert design.providers["claude"].zone == "external"
    chat = design.models["chat"]
    assert [target.priority for target in chat.targets] == [0, 1]
    assert chat.retry_on == ["connect", "reset", "5xx", "429", "timeout", "context_window"]
    assert (chat.timeouts.headers_s, chat.timeouts.idle_s, chat.timeouts.total_s) == (10.0, 60.0, 600.0)
    assert str(chat.price[0].cached_input) == "0.075"
    assert str(chat.price[0].output) == "0.60"
    assert design.plans["starter"].monthly_usd.limit == 100 * 10**9
    assert [target.provider for target in reached(design, "acme", "chat")] == ["local"]


def test_design_as_json(check_text: Checking) -> None:
    as_yaml = gateway(check_text(DESIGN))
    assert "\t" in as_json(DESIGN)
    assert gateway(check_text(as_json(DESIGN))) == as_yaml


@pytest.mark.parametrize("case", sorted(GOOD.glob("*.yaml")), ids=lambda case: case.stem)
def test_warnings_name_what_this_version_does_not_do(case: Path, check_text: Checking, tmp_path: Path) -> None:
    issued = Authority().issue("gateway.test")
    (tmp_path / "cert.pem").write_bytes(issued.cert)
    (tmp_path / "key.pem").write_bytes(issued.key)
    checked = check_text(case.read_text())
    gateway(checked)
    expected = case.with_suffix(".warnings.txt").read_text().splitlines()
    assert [str(warning) for warning in checked.warnings] == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_the_examples_are_good(example: Path) -> None:
    environ = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HEADGATE_WEBHOOK_SECRET"), "x")
    checked = check(example, environ)
    gateway(checked)
    assert checked.warnings == []


def test_defaults(check_text: Checking) -> None:
    small = gateway(check_text(SMALL))
    assert str(small.listen.http) == "127.0.0.1:8080"
    assert str(small.listen.admin) == "127.0.0.1:9902"
    assert small.listen.https is None
    assert small.providers["a"].connect_timeout_s == 2.0
    assert [target.priority for target in small.models["m"].targets] == [0, 0]
    assert small.models["m"].price is None
    assert small.tenants == {}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250ms", 0.25), ("10s", 10.0), ("5m", 300.0), ("1h", 3600.0), ("7", 7.0), ("1.5", 1.5)],
)
def test_durations(written: str, seconds: float, check_text: Checking) -> None:
    text = SMALL.replace("m: {targets", f"m: {{timeouts: {{total: {written}}}, targets")
    assert gateway(check_text(text)).models["m"].timeouts.total_s == seconds


@pytest.mark.parametrize(("written", "size"), [("1MiB", 2**20), ("64KiB", 2**16), ("4096", 4096), ("1GiB", 2**30)])
def test_sizes(written: str, size: int, check_text: Checking) -> None:
    text = f"listen: {{http: '[::1]:0', max_body: {written}}}\n{SMALL}"
    listen = gateway(check_text(text)).listen
    assert listen.max_body_bytes == size
    assert str(listen.http) == "[::1]:0"


def test_prices_are_exactly_as_written(check_text: Checking) -> None:
    text = SMALL.replace("m: {targets", 'm: {price: {input: 0.1, cached_input: "0.10", output: 1e-7}, targets')
    price = gateway(check_text(text)).models["m"].price[0]
    assert (str(price.input), str(price.cached_input), price.output) == ("0.1", "0.10", Decimal("0.0000001"))


def test_prices_that_are_left_out_are_those_of_input(check_text: Checking) -> None:
    """0 is a price: it is not left out."""
    for written, cached_input, cache_write in (
        ("", "3.00", "3.00"),
        ("cached_input: 0, ", "0", "3.00"),
        ("cache_write: 3.75, ", "3.00", "3.75"),
        ("cached_input: 0.30, cache_write: 0, ", "0.30", "0"),
    ):
        text = SMALL.replace("m: {targets", f'm: {{price: {{input: "3.00", {written}output: 15}}, targets')
        row = compile_snapshot(gateway(check_text(text)), 1).models["m"].price
        assert row == PriceRow(Decimal("3.00"), Decimal(cached_input), Decimal(cache_write), Decimal(15))
    assert compile_snapshot(gateway(check_text(SMALL)), 1).models["m"].price is None


def test_prices_of_pieces(check_text: Checking) -> None:
    """With one of them, tokens need no price; half a price of tokens is none."""
    text = SMALL.replace("m: {targets", "m: {price: {image: 0.04, request: 1e-3, search: 2e-3}, targets")
    row = compile_snapshot(gateway(check_text(text)), 1).models["m"].price
    by_piece = {"request": Decimal("0.001"), "image": Decimal("0.04"), "search": Decimal("0.002")}
    assert row == PriceRow(*[Decimal(0)] * 4, **by_piece)
    found = [row.of_unit(unit) for unit in ("image", "second", "character", "search", "")]
    assert found == [Decimal("0.04"), None, None, Decimal("0.002"), None]
    half = check_text(SMALL.replace("m: {targets", "m: {price: {input: 1, second: 2}, targets"))
    assert ['models.m.price: missing required key "output"' in str(problem) for problem in half.problems] == [True]


def test_names_that_yaml_1_1_would_change(check_text: Checking) -> None:
    text = (
        SMALL
        + "plans: {no: {}, on: {}, 1: {}}\n"
        + "tenants: {yes: {plan: 'no', models: [m]}, 1_0: {plan: on, models: []}}\n"
    )
    small = gateway(check_text(text))
    assert list(small.plans) == ["no", "on", "1"]
    assert list(small.tenants) == ["yes", "1_0"]


def test_anchors_and_merge_keys(check_text: Checking) -> None:
    text = SMALL + "plans:\n  a: &a {rpm: 1, tpm: 2}\n  b: {<<: *a, rpm: 3}\n  c: *a\n"
    plans = gateway(check_text(text)).plans
    assert (plans["b"].rpm.limit, plans["b"].tpm.limit, plans["c"].rpm.limit) == (3, 2, 1)


def test_expiry(check_text: Checking) -> None:
    keys = ", ".join(
        f"{{name: k{index}, sha256: {index:064x}, expires: {expires}}}"
        for index, expires in enumerate(["2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31 12:00:00+02:00"])
    )
    tenant = gateway(check_text(SMALL + f"tenants: {{t: {{models: [m], keys: [{keys}]}}}}\n")).tenants["t"]
    noon = dt.datetime(2027, 1, 31, 12, tzinfo=dt.UTC)
    assert tenant.keys[0].expires == dt.datetime(2027, 1, 31, 23, 59, 59, 999999, dt.UTC)
    assert tenant.keys[1].expires == noon
    assert tenant.keys[2].expires == noon - dt.timedelta(hours=2)


def test_json_text_beyond_the_basic_plane(check_text: Checking) -> None:
    text = SMALL + 'tenants: {t: {models: [m], keys: [{name: "\\ud83d\\ude00", sha256: "%s"}]}}\n' % ("A" * 64)
    key = gateway(check_text(text)).tenants["t"].keys[0]
    assert (key.name, key.sha256) == ("\N{GRINNING FACE}", "a" * 64)


def test_secrets_resolve_and_never_show(check_text: Checking, tmp_path: Path) -> None:
    providers = gateway(check_text(DESIGN)).providers
    openai, claude = providers["openai"].api_key, providers["claude"].api_key
    assert resolve(openai, tmp_path, {"OPENAI_API_KEY": "sk-environment-value"}) == "sk-environment-value"
    assert resolve(claude, tmp_path, {}) == "sk-file-value"
    assert f"{openai} {openai!r}" == "*** ***"


def test_fallback_is_bounded_by_default(check_text: Checking) -> None:
    small = gateway(check_text(SMALL))
    provider = small.providers["a"]
    assert (provider.max_requests, provider.retry_budget.share, provider.retry_budget.at_least) == (65_536, 0.2, 256)
    assert small.models["m"].drop_unsupported is False


@pytest.mark.parametrize(("share", "parsed"), [("0", 0.0), ("0.05", 0.05), ("1", 1.0), ("1.0", 1.0)])
def test_breakers_and_budgets(share: str, parsed: float, check_text: Checking) -> None:
    more = f"max_requests: 4294967295, retry_budget: {{share: {share}, at_least: 1}}, "
    provider = gateway(check_text(SMALL.replace("a: {api", f"a: {{{more}api"))).providers["a"]
    assert (provider.max_requests, provider.retry_budget.share, provider.retry_budget.at_least) == (
        2**32 - 1,
        parsed,
        1,
    )


def test_a_tenants_own_targets(check_text: Checking) -> None:
    text = SMALL + (
        "tenants:\n  common: {models: [m]}\n"
        "  own: {models: [m], pin_targets: true, targets: {m: [{provider: b, model: z}, {provider: a, model: x}]}}\n"
        "  inside: {models: [m], zones: [eu], targets: {m: [{provider: a, model: x}, {provider: b, model: z}]}}\n"
    )
    small = gateway(check_text(text))
    found = {
        tenant: [(target.provider, target.model, target.priority) for target in reached(small, tenant, "m")]
        for tenant in small.tenants
    }
    assert found == {
        "common": [("a", "x", 0), ("b", "y", 0)],
        "own": [("b", "z", 0), ("a", "x", 1)],
        "inside": [("b", "z", 1)],
    }
    assert [tenant.pin_targets for tenant in small.tenants.values()] == [False, True, False]


def test_the_zones_of_plan_and_tenant_both_hold(check_text: Checking) -> None:
    text = SMALL.replace("{a: {api: openai,", "{a: {api: openai, zone: us,") + (
        "plans: {p: {zones: [eu, us]}}\n"
        "tenants:\n  all: {models: [m]}\n  plan: {plan: p, models: [m]}\n"
        "  both: {plan: p, zones: [us], models: [m]}\n"
    )
    small = gateway(check_text(text))
    found = {tenant: [target.provider for target in reached(small, tenant, "m")] for tenant in small.tenants}
    assert found == {"all": ["a", "b"], "plan": ["a", "b"], "both": ["a"]}
