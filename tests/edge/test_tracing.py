"""What `telemetry` adds to Envoy's configuration, and that Envoy takes it; without it there is nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.edge.rendering import EXAMPLE, assert_valid, rendered

TEXT = EXAMPLE.read_text(encoding="utf-8")


def with_telemetry(value: str) -> Any:
    files = {path.name: path.read_text() for path in EXAMPLE.parent.glob("*.pem")}
    return rendered(f"{TEXT}\ntelemetry: {value}\n", **files)


def collector_of(rendering: Any) -> dict[str, Any]:
    (found,) = [
        one for one in rendering.bootstrap["static_resources"]["clusters"] if one["name"] == "headgate/telemetry"
    ]
    return dict(found)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4318", "http://collector:4318", "https://otel.example.com/base", "https://[::1]:4318"]
)
def test_envoy_takes_it(url: str, tmp_path: Path) -> None:
    rendering = with_telemetry(f'{{otlp: "{url}", sample: 0.25}}')
    assert_valid(rendering, tmp_path)
    text = json.dumps(rendering.bootstrap)
    assert '"numerator": 250000' in text
    assert "/v1/traces" in text
    collector = collector_of(rendering)
    assert collector["type"] == ("STATIC" if "127.0.0.1" in url or "[" in url else "STRICT_DNS")
    assert ("transport_socket" in collector) == url.startswith("https")


def test_a_certificate_of_the_collector_is_verified() -> None:
    tls = collector_of(with_telemetry("{otlp: https://otel.example.com}"))["transport_socket"]["typed_config"]
    assert tls["auto_sni_san_validation"] is True
    assert tls["common_tls_context"]["validation_context"]["trusted_ca"]["filename"]


def test_without_it_there_is_nothing() -> None:
    text = json.dumps(rendered(TEXT).bootstrap)
    for word in ("tracing", "telemetry", "opentelemetry", "%TRACE_ID%"):
        assert word not in text


def test_the_spool_has_the_id_of_the_trace() -> None:
    text = json.dumps(with_telemetry("{otlp: http://127.0.0.1:4318}").bootstrap)
    assert text.count("%TRACE_ID%") == 2 * text.count('"stat_prefix": "edge"')  # progress, and end in JSON
