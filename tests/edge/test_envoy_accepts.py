"""The real Envoy accepts what `headgate render` prints, and no credential is in it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import EXAMPLE, SECRETS, assert_valid, headgate, rendered, validate

from headgate.presets import PRESETS
from headgate.supervise.binaries import envoy

SMALL = """\
listen: {{http: "{listen}"}}
providers: {{p: {{api: openai, {provider}}}}}
models: {{m: {{targets: [{{provider: p, model: m}}]}}}}
"""


@pytest.mark.parametrize(
    ("options", "suffix"), [((), ".yaml"), (("--json",), ".json"), (("--workers", "9"), ".yaml")]
)
def test_the_example(options: list[str], suffix: str, tmp_path: Path) -> None:
    printed = headgate("render", *options, str(EXAMPLE))
    assert (printed.returncode, printed.stderr) == (0, "")
    found = validate(printed.stdout, suffix, tmp_path)
    assert found.returncode == 0, found.stderr
    assert "warning" not in found.stderr
    for secret in SECRETS.values():
        assert secret not in printed.stdout


def test_yaml_and_json_say_the_same() -> None:
    as_yaml, as_json = (headgate("render", *options, str(EXAMPLE)).stdout for options in ((), ("--json",)))
    assert yaml.safe_load(as_yaml) == json.loads(as_json)


@pytest.mark.parametrize(
    "provider",
    [
        'endpoints: ["http://127.0.0.1:1", "http://engine.test:2", "http://[::1]:3"], health_check: /health',
        'endpoints: ["https://engine-1.test", "https://engine-2.test"], health_check: "/h?a=\\"b\\\\"',
        'base_url: "https://127.0.0.1:9/v1", api_key: env:OPENAI_API_KEY',
        'base_url: "http://p.test/a%22b%5C/v1", forward_headers: [x-trace, "x-a\'b"]',
        'base_url: "http://p.test/~it%27s%5D/--%7B/v1", connect_timeout: 1ms',
        'base_url: "http://p.test", max_requests: 1, retry_budget: {share: 0, at_least: 1}',
        'base_url: "http://p.test", max_requests: 1000000, retry_budget: {share: 1, at_least: 1000000}',
    ],
)
def test_providers_of_every_kind(provider: str, tmp_path: Path) -> None:
    assert_valid(rendered(SMALL.format(listen="127.0.0.1:0", provider=provider)), tmp_path)


@pytest.mark.parametrize(
    "engine", ['endpoints: ["http://127.0.0.1:1", "http://engine.test:2"]', 'endpoints: ["https://[::1]:3"]']
)
def test_engines(engine: str, tmp_path: Path) -> None:
    text = SMALL.replace("providers: {{p: {{api: openai,", "engines: {{p: {{kind: vllm, served_name: m,")
    assert_valid(rendered(text.format(listen="127.0.0.1:0", provider=engine)), tmp_path)


@pytest.mark.parametrize(
    "provider",
    [
        "base_url: https://a.openai.azure.com, api_key: env:OPENAI_API_KEY",
        "base_url: https://a.test, api_version: 2025-04-01-preview, token: env:OPENAI_API_KEY",
    ],
)
def test_azure(provider: str, tmp_path: Path) -> None:
    text = SMALL.replace("api: openai", "api: azure").format(listen="127.0.0.1:0", provider=provider)
    assert_valid(rendered(text), tmp_path)


@pytest.mark.parametrize("preset", [name for name, one in PRESETS.items() if one.base_url])
def test_presets_know_where_they_are(preset: str, tmp_path: Path) -> None:
    assert_valid(rendered(SMALL.format(listen="127.0.0.1:0", provider=f"preset: {preset}")), tmp_path)


@pytest.mark.parametrize("listen", ["localhost:8080", "[::]:8080"])
def test_listeners_of_every_kind(listen: str, tmp_path: Path) -> None:
    assert_valid(rendered(SMALL.format(listen=listen, provider="base_url: http://p.test")), tmp_path)


@pytest.mark.parametrize(
    "model",
    ["{retry_on: [], ", "{timeouts: {headers: 1ms, idle: 1ms, total: 1ms}, ", "{retry_on: [429], max_attempts: 10, "],
)
def test_models_of_every_kind(model: str, tmp_path: Path) -> None:
    text = SMALL.format(listen="127.0.0.1:0", provider='base_url: "http://p.test"')
    assert_valid(rendered(text.replace("m: {targets", f"m: {model}targets")), tmp_path)


def test_nothing_configured(tmp_path: Path) -> None:
    assert_valid(rendered("providers: {}\nmodels: {}\n"), tmp_path)


def secret_values(document: Any) -> list[str]:
    return [secret for secret in SECRETS.values() if secret in json.dumps(document)]


def test_a_credential_is_in_its_own_file_and_nowhere_else() -> None:
    files = rendered(EXAMPLE.read_text())
    assert {name.partition("@")[0]: content.decode() for name, content in files.secrets.items()} == {
        "claude": SECRETS["ANTHROPIC_API_KEY"],
        "openai": SECRETS["OPENAI_API_KEY"],
    }
    for document in (files.bootstrap, files.clusters, files.routes, files.inline()):
        assert secret_values(document) == []


def test_the_secret_file_is_what_the_cluster_asks_for() -> None:
    files = rendered(EXAMPLE.read_text())
    asked = re.findall(r"secrets/([^\\\"]+)", json.dumps(files.clusters))
    assert sorted(asked) == sorted(files.secrets)


def test_it_is_accepted_in_any_folder(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    config.write_text(headgate("render", str(EXAMPLE)).stdout)
    command = [envoy(), "--mode", "validate", "-c", config.name, "--disable-hot-restart"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
