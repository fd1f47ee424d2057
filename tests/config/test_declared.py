import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.compile_declared import compile_declared
from headgate.config.check import Checked
from headgate.config.limits import Limits, PlanLimits, TenantLimits
from headgate.declared import Declared, read_declared, write_declared
from headgate.declared_limits import written
from headgate.limits import KINDS, KINDS_OF_PARTS

Checking = Callable[[str], Checked]

FILE = """\
providers:
  local: {api: openai, endpoints: ["http://127.0.0.1:8000", "http://127.0.0.1:8001"], zone: internal}
  open:
    api: openai
    base_url: https://api.openai.com/v1
    api_keys: [{key: env:OPENAI_API_KEY}, {key: file:secrets/anthropic, name: second}]
  aws:
    api: bedrock
    region: eu-central-1
    aws: {access_key_id: env:OPENAI_API_KEY, secret_access_key: file:secrets/anthropic}
models:
  chat: {targets: [{provider: local, model: llama}, {provider: open, model: gpt-4o-mini}], strategy: cheapest,
         price: {input: 1, output: 1}}
plans:
  starter: {rpm: 60, monthly_usd: 100.50, tpm: {limit: 5, burst: 7, refill: 250ms}, zones: [internal], anniversary: 5,
            pricing: {markup: 12.50%, models: {chat: {discount: 100%}}}}
tenants:
  acme:
    plan: starter
    models: [chat]
    pin_targets: true
    targets: {chat: [{provider: open, model: gpt-4o}, {provider: local, model: llama}]}
    store_prompts: true
    usage_retention: 30d
    pricing: {discount: 10%}
    limits: {rpm: unlimited, monthly_usd: {limit: 5, soft: 4, overage: {ceiling: 6}}, per: [{by: [user], rpm: 1}]}
    keys: [{name: ci, sha256: "FIRST", expires: 2030-01-01T00:00:00Z, limits: {rpm: 1}}, {name: b, sha256: "SECOND"}]
""".replace("FIRST", "a" * 64).replace("SECOND", "b" * 64)


def test_what_a_file_declares(check_text: Checking, tmp_path: Path) -> None:
    gateway = check_text(FILE).gateway
    assert gateway
    path = tmp_path / "declared.json"
    write_declared(compile_declared(gateway, 7, Path()), path)
    assert path.stat().st_mode & 0o777 == 0o600
    read = read_declared(path)
    assert read == compile_declared(gateway, 7, Path())
    assert msgspec.json.decode(msgspec.json.encode(read)) == {
        "generation": 7,
        "tenants": {
            "acme": {
                "plan": "starter",
                "zones": None,
                "models": ["chat"],
                "pin_targets": True,
                "disabled": False,
                "limits": {
                    "rpm": "unlimited",
                    "monthly_usd": {"limit": "5", "soft": "4", "overage": {"ceiling": "6"}},
                    "per": [{"by": ["user"], "rpm": 1}],
                },
                "keys": [
                    {
                        "name": "ci",
                        "disabled": False,
                        "expires": dt.datetime(2030, 1, 1, tzinfo=dt.UTC).timestamp(),
                        "limits": {"rpm": 1},
                    },
                    {"name": "b", "disabled": False, "expires": None, "limits": {}},
                ],
                "store_prompts": True,
                "usage_retention_days": 30,
                "pricing": {"discount": "10%"},
                "targets": {
                    "chat": [
                        {"provider": "open", "model": "gpt-4o", "zone": "external", "max_lora_rank": 0},
                        {"provider": "local", "model": "llama", "zone": "internal", "max_lora_rank": 0},
                    ],
                },
            }
        },
        "plans": {
            "starter": {
                "limits": {
                    "rpm": 60,
                    "monthly_usd": "100.5",
                    "tpm": {"limit": 5, "burst": 7, "refill": "0.25s"},
                    "anniversary": 5,
                },
                "zones": ["internal"],
                "pricing": {"markup": "12.50%", "models": {"chat": {"discount": "100%"}}},
            }
        },
        "models": {
            "chat": {
                "targets": [
                    {"provider": "local", "model": "llama", "zone": "internal", "max_lora_rank": 0},
                    {"provider": "open", "model": "gpt-4o-mini", "zone": "external", "max_lora_rank": 0},
                ],
                "strategy": "cheapest",
                "priced": True,
            }
        },
        "has_database": False,
        "usage": None,
        "has_receiver": False,
        "billing": {"seller": None, "address": [], "notes": None, "due_days": None, "prefix": "INV-"},
        "adapters": {
            "max_size_bytes": 2**31,
            "max_per_tenant_bytes": 20 * 2**30,
            "max_total_bytes": 200 * 2**30,
            "min_free_bytes": 2**30 + 256 * 2**20,
            "upload_timeout_s": 3600.0,
        },
        "auth": {"pepper": "identity/pepper", "previous_peppers": [], "service_key": "identity/service-key"},
        "providers": {
            "local": {
                "api": "openai",
                "zone": "internal",
                "endpoints": ["http://127.0.0.1:8000", "http://127.0.0.1:8001"],
                "preset": None,
                "credentials": {},
            },
            "open": {
                "api": "openai",
                "zone": "external",
                "endpoints": ["https://api.openai.com:443/v1"],
                "preset": None,
                "credentials": {"api_keys/OPENAI_API_KEY": "env", "api_keys/second": "file"},
            },
            "aws": {
                "api": "bedrock",
                "zone": "external",
                "endpoints": ["https://bedrock-runtime.eu-central-1.amazonaws.com:443"],
                "preset": None,
                "credentials": {"aws/access_key_id": "env", "aws/secret_access_key": "file"},
            },
        },
    }


def test_nothing_of_a_key_is_in_it(check_text: Checking) -> None:
    gateway = check_text(FILE).gateway
    assert gateway
    text = msgspec.json.encode(compile_declared(gateway, 1, Path())).decode()
    for secret in ("a" * 64, "b" * 64, "sk-environment-value", "sk-file-value", "secrets/anthropic"):
        assert secret not in text


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "declared.json"
    path.write_text('{"tenants": []}')
    with pytest.raises(msgspec.DecodeError):
        read_declared(path)
    assert msgspec.json.decode(b'{"generation": 1}', type=Declared) == Declared(1)


_COUNT = st.integers(1, 2**53 - 1)
_MONEY = st.integers(1, 10**15).map(lambda nano: format_usd(nano))
_DURATION = st.integers(1, 86_400_000).map(lambda ms: f"{ms}ms")


def format_usd(nano: int) -> str:
    return f"{nano // 10**9}.{nano % 10**9:09}"


def _mapping(kind: str) -> st.SearchStrategy[Any]:
    amount = _MONEY if kind.endswith("_usd") else _COUNT
    more: dict[str, st.SearchStrategy[Any]] = {"limit": amount}
    if kind != "concurrency":
        more["soft"] = amount
    if KINDS[kind].shape == "window":
        more |= {"burst": _COUNT, "refill": _DURATION}
    if KINDS[kind].shape in ("day", "month"):
        price = {} if kind.endswith("_usd") else {"price": _MONEY}
        more["overage"] = st.fixed_dictionaries({"ceiling": amount}, optional=price)
    return amount | st.just("unlimited") | st.fixed_dictionaries({}, optional=more)


_BALANCE = st.tuples(st.sampled_from(["", "-"]), _MONEY).map("".join)
_CREDITS = _BALANCE | st.just("unlimited") | st.fixed_dictionaries({}, optional={"floor": _BALANCE, "low": _BALANCE})
_LIMITS = {kind: _mapping(kind) for kind in KINDS_OF_PARTS}
_RULE = st.fixed_dictionaries({}, optional=_LIMITS | {"by": st.just(["key", "user"]), "models": st.just(["chat"])})
_ALL = _LIMITS | {"credits": _CREDITS, "per": st.lists(_RULE, max_size=2), "anniversary": st.integers(1, 31)}


def _without_idle_refill(limits: Limits) -> Any:
    """What refills nothing is not written."""
    dumped = limits.model_dump()
    for one in [dumped, *(dumped.get("per") or [])]:
        for kind in KINDS_OF_PARTS:
            if isinstance(one[kind], dict) and one[kind].get("burst") is None:
                one[kind].pop("refill_s", None)
    return dumped


@pytest.mark.parametrize(("entry", "fields"), [(PlanLimits, _ALL), (TenantLimits, _ALL), (Limits, _LIMITS)])
def test_limits_are_read_as_they_were_written(entry: type[Limits], fields: dict[str, Any]) -> None:
    @given(st.fixed_dictionaries({}, optional=fields))
    def same(said: dict[str, Any]) -> None:
        limits = entry.model_validate(said)
        again = entry.model_validate(written(limits))
        assert _without_idle_refill(again) == _without_idle_refill(limits)

    same()


def test_what_invoices_say_and_where_usage_is(check_text: Checking) -> None:
    """Who asks there, and how, is in no file of ours."""
    more = """\
alerts: {webhook: "https://hooks.example.com", secret: env:OPENAI_API_KEY}
billing: {seller: Gate & Co, address: [Street 1], due_days: 0, prefix: G-}
services: {usage: "clickhouse://user:hunter2@Store:8123/headgate"}
"""
    checked = check_text(FILE + more)
    assert checked.gateway
    declared = compile_declared(checked.gateway, 1, Path())
    assert (declared.billing.seller, declared.billing.address, declared.billing.due_days) == (
        "Gate & Co",
        ["Street 1"],
        0,
    )
    assert (declared.billing.prefix, declared.has_receiver) == ("G-", True)
    assert declared.usage == "store:8123/headgate"
