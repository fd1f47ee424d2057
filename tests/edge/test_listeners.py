"""Envoy's listeners and overload manager as rendered: Envoy accepts them, and no certificate or key is in them."""

import json
from pathlib import Path
from typing import Any

import pytest
from rendering import assert_valid, headgate, rendered

from headgate.edge.render import Rendering
from tests.certificates import Authority

AUTHORITY = Authority()
SERVER, CLIENT = AUTHORITY.issue("gateway.test"), AUTHORITY.issue("client")
FILES = {
    "server.pem": SERVER.cert.decode(),
    "server-key.pem": SERVER.key.decode(),
    "client.pem": CLIENT.cert.decode(),
    "client-key.pem": CLIENT.key.decode(),
    "ca.pem": AUTHORITY.pem.decode(),
}
TEXT = """\
listen: {{{listen}}}
providers:
  p: {{api: openai, base_url: "https://p.test", ca: ca.pem, client_cert: client.pem, client_key: client-key.pem}}
models: {{m: {{targets: [{{provider: p, model: m}}]}}}}
"""
HTTPS = "https: {{address: '127.0.0.1:8443', cert: server.pem, key: server-key.pem{more}}}"


def files(listen: str) -> Rendering:
    return rendered(TEXT.format(listen=listen), {}, **FILES)


def listeners(found: Rendering) -> dict[str, Any]:
    return {listener["name"]: listener for listener in found.bootstrap["static_resources"]["listeners"]}


def manager(listener: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


@pytest.mark.parametrize(
    ("listen", "names"),
    [
        ("http: '127.0.0.1:8080'", ["http"]),
        (HTTPS.format(more=""), ["https"]),
        (HTTPS.format(more=", client_ca: ca.pem"), ["https"]),
        (HTTPS.format(more=", http3: true"), ["https", "http3"]),
        (
            "http: '127.0.0.1:8080', " + HTTPS.format(more=", http3: true, client_ca: ca.pem"),
            ["http", "https", "http3"],
        ),
    ],
)
def test_what_is_asked_for_is_what_listens(listen: str, names: list[str], tmp_path: Path) -> None:
    found = files(listen)
    assert list(listeners(found)) == [*names, "inner"]
    assert_valid(found, tmp_path)


def test_one_way_through_the_gateway_however_a_request_arrives() -> None:
    every = listeners(files("http: '127.0.0.1:8080', " + HTTPS.format(more=", http3: true")))
    plain = manager(every["http"])
    for name in ("https", "http3"):
        other = manager(every[name])
        assert [one["name"] for one in other["http_filters"][:2]] == ["headgate.http3", "headgate.admin"]
        assert other["http_filters"][2:] == plain["http_filters"][1:]  # over TLS the admin API says that it is
        differing = {key for key in plain.keys() | other.keys() if plain.get(key) != other.get(key)}
        assert differing <= {"http_filters", "codec_type", "http3_protocol_options"}


def test_tls_1_3_no_early_data_and_a_bounded_handshake() -> None:
    every = listeners(files(HTTPS.format(more=", http3: true, client_ca: ca.pem")))
    https, http3 = (every[name]["filter_chains"][0] for name in ("https", "http3"))
    assert https["transport_socket_connect_timeout"] == "10s"
    assert every["http3"]["udp_listener_config"]["quic_options"]["crypto_handshake_timeout"] == "10s"
    quic = http3["transport_socket"]["typed_config"]
    assert (quic["enable_early_data"], quic["enable_resumption"]) == (False, False)
    for context in (https["transport_socket"]["typed_config"], quic["downstream_tls_context"]):
        params = context["common_tls_context"]["tls_params"]
        assert params == {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
        assert context["require_client_certificate"] is True
        assert context["disable_stateless_session_resumption"] is True


def test_certificates_and_keys_are_in_their_own_files_alone() -> None:
    found = files(HTTPS.format(more=", client_ca: ca.pem"))
    holders = {
        name: [file for file, content in found.secrets.items() if _body_of(pem) in content.decode()]
        for name, pem in FILES.items()
    }
    assert {name: len(several) for name, several in holders.items()} == {
        "server.pem": 1,
        "server-key.pem": 1,
        "client.pem": 1,
        "client-key.pem": 1,
        "ca.pem": 2,
    }
    asked = json.dumps(found.bootstrap) + json.dumps(found.clusters)
    for file in found.secrets:
        assert f'"secrets/{file}"' in asked
    for document in (found.bootstrap, found.clusters, found.routes, found.inline()):
        assert not [name for name, pem in FILES.items() if _body_of(pem) in json.dumps(document)]


def test_render_prints_no_key(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "gateway.yaml").write_text(TEXT.format(listen=HTTPS.format(more="")))
    printed = headgate("render", "--json", str(tmp_path / "gateway.yaml"))
    assert printed.returncode == 0, printed.stderr
    assert not [name for name, pem in FILES.items() if _body_of(pem) in printed.stdout]


def test_limits_of_listen_reach_envoy() -> None:
    found = files(
        "http: '127.0.0.1:8080', max_connections: 77, max_memory: 3GiB, headers_timeout: 3s, request_timeout: 4s"
    )
    overload = found.bootstrap["overload_manager"]
    configured = {
        monitor["name"].rpartition(".")[2]: monitor["typed_config"] for monitor in overload["resource_monitors"]
    }
    assert configured["fixed_heap"]["max_heap_size_bytes"] == str(3 * 2**30)
    assert configured["global_downstream_max_connections"]["max_active_downstream_connections"] == "77"
    http = manager(listeners(found)["http"])
    assert (http["request_headers_timeout"], http["request_timeout"]) == ("3s", "4s")
    assert found.bootstrap["admin"]["ignore_global_conn_limit"] is True


def test_what_is_cheap_to_lose_goes_first() -> None:
    overload = files("http: '127.0.0.1:8080'").bootstrap["overload_manager"]
    begins = {
        entry["name"].rpartition(".")[2]: min(
            trigger.get("threshold", {}).get("value", trigger.get("scaled", {}).get("scaling_threshold"))
            for trigger in entry["triggers"]
        )
        for entry in (*overload["actions"], *overload["loadshed_points"])
    }
    order = ["reduce_timeouts", "shrink_heap", "disable_http_keepalive", "stop_accepting_requests"]
    order += ["http1_server_abort_dispatch", "tcp_listener_accept"]
    assert sorted(order, key=lambda name: begins[name]) == order
    assert all(0.7 <= share < 1 for share in begins.values())


def _body_of(pem: str) -> str:
    return pem.splitlines()[1]
