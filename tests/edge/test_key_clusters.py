"""A provider with several keys: a cluster for each, whose name and file no other key changes, nor their order."""

import json
from pathlib import Path
from typing import Any

import certificates
from rendering import SETTINGS, assert_valid, rendered

from headgate.cluster_names import accounts_of
from headgate.compile import compile_snapshot
from headgate.config.check import check
from headgate.config.model import Gateway, PoolKey, Provider
from headgate.edge.render import render

KEYS = {"KEY_A": "sk-of-a", "KEY_B": "sk-of-b", "KEY_C": "sk-of-c"}


def provider_of(*keys: dict[str, Any], **more: Any) -> Provider:
    return Provider(api="openai", base_url="https://api.test/v1", api_keys=list(keys), **more)


def clusters_of(provider: Provider) -> dict[str | None, str]:
    return {account.key: account.cluster for account in accounts_of("p", provider)}


def text_of(**provider: Any) -> str:
    return json.dumps(
        {
            "providers": {"p": {"api": "openai", "base_url": "https://api.test/v1", **provider}},
            "models": {"m": {"targets": [{"provider": "p", "model": "x"}], "strategy": "least_busy"}},
            "tenants": {"acme": {"models": ["m"]}},
        }
    )


def gateway_of(folder: Path, **provider: Any) -> Gateway:
    (folder / "gateway.yaml").write_text(text_of(**provider))
    checked = check(folder / "gateway.yaml", KEYS)
    assert checked.gateway, checked.problems
    return checked.gateway


A, B, C = ({"key": f"env:{name}"} for name in KEYS)


def test_a_provider_with_one_key_is_called_as_ever() -> None:
    provider = Provider(api="openai", base_url="https://api.openai.com/v1", api_key="env:OPENAI_API_KEY")
    (account,) = accounts_of("openai", provider)
    assert account.cluster == account.shared == "provider/openai@25e950d2ac"
    assert (account.key, account.stat_name, account.provider) == (None, "provider/openai", provider)


def test_other_keys_their_order_and_weights_change_no_cluster() -> None:
    both = clusters_of(provider_of(A, B))
    assert both.keys() == {"KEY_A", "KEY_B"}
    assert len(set(both.values())) == 2
    assert clusters_of(provider_of(B, A)) == both
    assert clusters_of(provider_of(A | {"weight": 5}, B)) == both
    assert {**both, **clusters_of(provider_of(A, C, B))}.keys() == {"KEY_A", "KEY_B", "KEY_C"}
    assert both.items() <= clusters_of(provider_of(A, C, B)).items()
    other_place = clusters_of(provider_of(A, B, connect_timeout="1s"))
    assert not set(other_place.values()) & set(both.values())
    other_key = clusters_of(provider_of(A, {"key": "file:b", "name": "KEY_B"}))
    assert other_key["KEY_A"] == both["KEY_A"]
    assert other_key["KEY_B"] != both["KEY_B"]


def test_a_key_is_called_as_its_reference_unless_it_has_a_name() -> None:
    names = {
        "env:OPENAI_B": "OPENAI_B",
        "env:_B": "B",
        "file:/run/secrets/openai-b": "openai-b",
        "file:.key of b": "key-of-b",
        "vault:secret/openai#b": "b",
    }
    assert {key: PoolKey(key=key).called for key in names} == names
    assert PoolKey(key="env:OPENAI_B", name="second").called == "second"


def test_each_key_is_in_a_file_of_its_own_and_in_no_other_cluster(tmp_path: Path) -> None:
    rendering = rendered(text_of(api_keys=[A, B]), KEYS)
    clusters = {one["alt_stat_name"]: one for one in rendering.clusters["resources"]}
    assert clusters.keys() == {"provider/p/KEY_A", "provider/p/KEY_B"}
    keys = {name: content for name, content in rendering.secrets.items() if name.endswith(".key")}
    assert sorted(keys.values()) == [b"sk-of-a", b"sk-of-b"]
    for stat, cluster in clusters.items():
        name = stat.rpartition("/")[2]
        known = cluster["metadata"]["filter_metadata"]["headgate"]
        assert {one: known[one] for one in ("provider", "key")} == {"provider": "p", "key": name}
        named = [file for file in keys if file in json.dumps(cluster)]
        assert [keys[file].decode() for file in named] == [KEYS[name]]
    assert "sk-of" not in json.dumps([rendering.inline(), rendering.clusters, rendering.bootstrap, rendering.routes])
    assert_valid(rendering, tmp_path)


def test_keys_share_the_files_of_certificates(tmp_path: Path) -> None:
    authority = certificates.Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    gateway = gateway_of(tmp_path, api_keys=[A, B], ca="ca.pem")
    rendering = render(gateway, SETTINGS, tmp_path, KEYS)
    assert len([name for name in rendering.secrets if name.endswith(".ca.json")]) == 1
    assert_valid(rendering, tmp_path)


def test_workers_have_a_row_for_each_key(tmp_path: Path) -> None:
    gateway = gateway_of(tmp_path, api_keys=[A | {"weight": 2}, B])
    tables = compile_snapshot(gateway, 1)
    rows = tables.tenants["acme"].models["m"]
    assert [(row.key, row.key_weight, row.pool) for row in rows] == [("KEY_A", 2, 1), ("KEY_B", 1, 1)]
    assert [row.cluster for row in rows] == list(clusters_of(gateway.providers["p"]).values())
    assert tables.models["m"].has_pools
    assert tables.loads == {f"p/{row.key}": row.cluster for row in rows}
    single = compile_snapshot(gateway_of(tmp_path, api_key="env:KEY_A"), 1)
    assert [(row.key, row.pool) for row in single.tenants["acme"].models["m"]] == [(None, 0)]
    assert not single.models["m"].has_pools
