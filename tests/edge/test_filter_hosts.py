"""Envoy's cluster for filter workers on other hosts: who has to be there, and what stays as for those here."""

import json
from pathlib import Path
from typing import Any

from rendering import assert_valid, rendered

from headgate.contract import FILTERS_CLUSTER
from headgate.edge.render import Rendering
from tests.certificates import Authority

TEXT = """
listen: {{http: "127.0.0.1:8080"}}
providers: {{p: {{api: openai, endpoints: ["http://127.0.0.1:8000"]}}}}
models: {{m: {{targets: [{{provider: p, model: x}}]}}}}
services:
  counters: redis://counters.test:6379
  filters: {{endpoints: [{endpoints}], ca: ca.pem, cert: client.pem, key: client-key.pem{more}}}
"""


def rendering(endpoints: str, more: str = "") -> Rendering:
    authority = Authority()
    issued = authority.issue("spiffe://example.test/gateway")
    files = {
        "ca.pem": authority.pem.decode(),
        "client.pem": issued.cert.decode(),
        "client-key.pem": issued.key.decode(),
    }
    return rendered(TEXT.format(endpoints=endpoints, more=more), {}, **files)


def filters_of(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in document["static_resources"]["clusters"] if one["name"] == FILTERS_CLUSTER]
    return dict(found)


def names_of(cluster: dict[str, Any]) -> list[tuple[str, str]]:
    common = cluster["transport_socket"]["typed_config"]["common_tls_context"]
    names = common["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"]
    return [(one["san_type"], one["matcher"]["exact"]) for one in names]


def test_names_and_addresses_are_those_of_the_endpoints(tmp_path: Path) -> None:
    made = rendering('"10.0.0.1:9443", "worker.test:9443", "[fd00::1]:9443"')
    cluster = filters_of(made.bootstrap)
    assert names_of(cluster) == [("IP_ADDRESS", "10.0.0.1"), ("DNS", "worker.test"), ("IP_ADDRESS", "fd00::1")]
    assert cluster["type"] == "STRICT_DNS"
    context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
    assert set(context["tls_params"].values()) == {"TLSv1_3"}
    assert context["alpn_protocols"] == ["h2"]
    assert "path_config_source" in json.dumps(context["tls_certificate_sds_secret_configs"])
    assert_valid(made, tmp_path)


def test_one_name_stands_for_all(tmp_path: Path) -> None:
    made = rendering('"10.0.0.1:9443", "10.0.0.2:9443"', ", server_name: Workers.test")
    cluster = filters_of(made.bootstrap)
    assert names_of(cluster) == [("DNS", "workers.test")]
    assert cluster["transport_socket"]["typed_config"]["sni"] == "workers.test"
    assert cluster["type"] == "STATIC"
    assert_valid(made, tmp_path)


def test_the_rest_is_as_for_workers_here() -> None:
    elsewhere, here = filters_of(rendering('"10.0.0.1:9443"').bootstrap), filters_of(rendered(LOCAL).bootstrap)
    for key in ("outlier_detection", "common_lb_config", "circuit_breakers", "typed_extension_protocol_options"):
        assert elsewhere[key] == here[key]
    assert "transport_socket" not in here


LOCAL = TEXT.format(endpoints="", more="").partition("services:")[0]


def test_the_key_stands_in_no_file_but_its_secret() -> None:
    made = rendering('"10.0.0.1:9443"')
    assert "PRIVATE KEY" in made.secrets["filters+cert.json"].decode()
    for shown in (made.bootstrap, made.clusters, made.routes):
        assert "PRIVATE KEY" not in json.dumps(shown)
