"""What the parts are told of `adapters`, and where the key is that signs them."""

import stat
from pathlib import Path

import pytest

from headgate.adapter_files import adapter_row
from headgate.adapter_row import AdapterRow
from headgate.adapters.failures import KeyAway
from headgate.adapters.opening import AdapterAccess
from headgate.adapters.signature import SigningKey, key_bytes, key_text
from headgate.config.check import check
from headgate.edge.secrets import own_files, usable_secret_files
from headgate.supervise.own_secrets import make_own_secrets

PUBLIC = key_text(SigningKey(bytes(32)).public)
PLAIN = """
providers: {p: {api: openai, base_url: "https://p.test/v1"}}
models: {chat: {targets: [{provider: p, model: m}]}}
"""
GIVEN = f"""
adapters:
  signing_key: env:ADAPTER_KEY
  trusted_keys: ["{PUBLIC}"]
  max_size: 64MiB
  max_per_tenant: 1GiB
  max_total: 2GiB
  min_free: 3GiB
  upload_timeout: 5m
  base_names: {{llama: [meta-llama/Llama-3-8B]}}
engines:
  llama: {{kind: vllm, model: models/Tiny-Llama, max_loras: 2}}
  other: {{kind: vllm, model: models/Mistral, served_name: m7b}}
services: {{objects: "s3://bucket/prefix?endpoint=http://127.0.0.1:9000"}}
"""
ENVIRONMENT = {"ADAPTER_KEY": "A" * 43}


def row_of(folder: Path, text: str) -> AdapterRow:
    for model in ("Tiny-Llama", "Mistral"):
        (folder / "models" / model).mkdir(parents=True, exist_ok=True)
        (folder / "models" / model / "config.json").write_text("{}")
    file = folder / "gateway.yaml"
    file.write_text(text)
    checked = check(file, ENVIRONMENT)
    assert checked.gateway, checked.problems
    row = adapter_row(checked.gateway, folder)
    secrets, _ = usable_secret_files(checked.gateway, folder, ENVIRONMENT)
    (folder / "secrets").mkdir(exist_ok=True)
    for name in own_files(checked.gateway):
        (folder / "secrets" / name).write_bytes(secrets[name])
    return row


def test_without_a_word_it_is_this_hosts_own_key_and_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_own_secrets()
    access = AdapterAccess(row_of(tmp_path, PLAIN))
    assert access.row == AdapterRow(min_free_bytes=2**30 + 256 * 2**20), "with what the spool has to have"
    key = access.signing_key()
    assert access.trusted().ids == (key.id,)
    access.store().put("adapters/a", [b"x"], 1)
    assert (tmp_path / "objects" / "adapters" / "a").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "objects").stat().st_mode) == 0o700


def test_what_gateway_yaml_says_of_adapters_reaches_the_parts(tmp_path: Path) -> None:
    row = row_of(tmp_path, PLAIN + GIVEN)
    assert row.objects == "s3://bucket/prefix?endpoint=http://127.0.0.1:9000"
    assert row.max_size_bytes == 64 * 2**20
    assert (row.max_per_tenant_bytes, row.max_total_bytes, row.upload_timeout_s) == (2**30, 2**31, 300)
    assert row.min_free_bytes == 3 * 2**30 + 256 * 2**20
    assert row.base_names == {"llama": ("meta-llama/Llama-3-8B", "Tiny-Llama"), "m7b": ("Mistral",)}
    assert row.model_folders == {"llama": (str(tmp_path / "models" / "Tiny-Llama"),)}
    access = AdapterAccess(row, tmp_path)
    assert access.signing_key().id == SigningKey(key_bytes("A" * 43)).id
    assert access.trusted().ids == (access.signing_key().id,), "the trusted key is that one, too"


def test_a_key_that_is_gone_is_said_without_being_quoted(tmp_path: Path) -> None:
    row = row_of(tmp_path, PLAIN)
    with pytest.raises(KeyAway, match=r"identity/adapter-key: No such file"):
        AdapterAccess(row, tmp_path).trusted()
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "adapter-key").write_text("hunter2")
    with pytest.raises(KeyAway, match=r"identity/adapter-key: it does not hold 32 bytes in base64$"):
        AdapterAccess(row, tmp_path).signing_key()
