"""Envoy's messages are made without checks: they say what messages say that check every value."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rendering import ROOT, SECRETS

from tests.certificates import Authority

GATEWAY = """\
listen: {http: "127.0.0.1:80", https: {address: "127.0.0.1:443", cert: c.pem, key: k.pem, client_ca: ca.pem, http3: true}}
telemetry: {otlp: "https://otel.test", sample: 0.25}
providers:
  plain: {api: openai, endpoints: ["http://127.0.0.1:1", "http://[::1]:3"], health_check: /h, max_requests: 5}
  keyed:
    {api: openai, base_url: "https://p.test/v1", api_keys: [{key: env:OPENAI_API_KEY}, {key: env:ANTHROPIC_API_KEY}]}
  tls: {api: openai, base_url: "https://t.test", ca: ca.pem, client_cert: c.pem, client_key: k.pem}
  azure: {api: azure, base_url: "https://a.openai.azure.com", api_key: env:OPENAI_API_KEY}
  signed:
    {api: bedrock, region: eu-central-1, aws: {access_key_id: env:OPENAI_API_KEY, secret_access_key: env:OPENAI_API_KEY}}
  claude: {api: anthropic, base_url: "https://c.test", api_key: env:ANTHROPIC_API_KEY}
models:
  hedged: {targets: [{provider: plain, model: m}], hedge: 1s, timeouts: {idle: 2s, total: 3s}}
  some: {targets: [{provider: keyed, model: m}, {provider: tls, model: m}], retry_on: [429]}
  others: {targets: [{provider: azure, model: m}, {provider: signed, model: m}, {provider: claude, model: m}]}
"""  # noqa: E501 - gateway.yaml

# Classes that are there before `headgate.edge` is stay as envoy-data-plane makes them.
LOAD_CHECKED = """
import ast, importlib, pathlib, sys
for path in pathlib.Path(sys.argv[2]).glob("headgate/edge/*.py"):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("envoy_data_plane"):
            importlib.import_module(node.module)
"""
RENDER = """
import json, os, pathlib, sys
from pydantic.dataclasses import is_pydantic_dataclass
from headgate.config.check import check
from headgate.edge.render import Bootstrap, EdgeSettings, render_inline
checked = check(pathlib.Path(sys.argv[1]), os.environ)
assert checked.gateway, checked.problems
made = render_inline(checked.gateway, EdgeSettings(workers=2, spool="spool/x", generation=1))
print(json.dumps([is_pydantic_dataclass(Bootstrap), made]))
"""


def made_by(program: str, file: Path) -> tuple[bool, dict[str, Any]]:
    """Whether messages were checked, and what they say."""
    command = [sys.executable, "-W", "ignore", "-c", program, str(file), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SECRETS}, check=False)
    assert done.returncode == 0, done.stderr
    checked, document = json.loads(done.stdout)
    del document["static_resources"]["secrets"]  # certificates in the place of the real ones, new ones each time
    return checked, document


def test_messages_that_check_themselves_say_the_same(tmp_path: Path) -> None:
    authority = Authority()
    issued = authority.issue("gateway.test")
    for name, content in {"c": issued.cert, "k": issued.key, "ca": authority.pem}.items():
        (tmp_path / f"{name}.pem").write_bytes(content)
    file = tmp_path / "gateway.yaml"
    file.write_text(GATEWAY)
    is_checked, with_checks = made_by(LOAD_CHECKED + RENDER, file)
    is_checked_too, without = made_by(RENDER, file)
    assert (is_checked, is_checked_too) == (True, False)
    assert without == with_checks
