"""A spool's `end` lines in the real Envoy: one for each request, and what its JSON format says."""

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType

from headgate.config.model import Telemetry
from headgate.contract import AUTHZ, CLUSTER_METADATA, LIMITER, REQUEST
from headgate.edge import spool
from headgate.edge import tracing as edge_tracing
from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, named, resources, typed

REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"user": 'a "b" \\ c\n', "model": "acme/bot", "provider_left": "x\ny\nrequests=1,2,3"},
    "numbers": {"estimated": 7, "counted": 0, "generation": 2**40, "streamed": True, "estimated_units": 2},
    "no ASCII": {"user": "Jürgen", "price_factor": "0.9"},
    "a fraction": {"estimated": 0.5},
    "nothing": {},
    "an id of the client's trace": {"trace_id": "ab" * 16},
}
TRACED = "a trace"
NAMES = (*REQUESTS, TRACED)
PATHS = ("/there", "/here")  # and one that Envoy refuses before it looks at a path
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def do_POST(self) -> None:
        self.send_response(200)  # spans
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def manager(folder: Path, request: dict[str, Any], telemetry: Telemetry | None = None) -> dict[str, Any]:
    said = {
        AUTHZ: {"tenant": "acme", "key_id": "ci", "generation": 3},
        REQUEST: {"surface": "chat", "endpoint": "/chat/completions", **request},
        LIMITER: {"reserved": True},
    }
    metadata = [{"metadata_namespace": name, "value": value} for name, value in said.items()]
    module = {"filter_name": "metering", "dynamic_module_config": {"metrics_namespace": "headgate.metering"}}
    module["dynamic_module_config"]["module"] = {"local": {"filename": str(MODULE)}}  # type: ignore[index]
    traced = telemetry is not None
    plain = spool.json_log(str(folder / "json"), "end", AccessLogType.DownstreamEnd, traced=traced)
    tracing = {"tracing": edge_tracing.tracing(telemetry).to_dict()} if telemetry else {}
    routes = [
        {"match": {"prefix": "/there"}, "route": {"cluster": "x"}},
        {"match": {"prefix": "/here"}, "direct_response": {"status": 404}},
    ]
    return typed(
        MANAGER,
        stat_prefix="x",
        generate_request_id=True,
        access_log=[one.to_dict() for one in (*spool.edge_logs(str(folder / "spool"), traced=traced), plain)],
        route_config={"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": routes}]},
        http_filters=[
            named("a", "filters.http.set_metadata.v3.Config", metadata=metadata),
            named("b", "filters.http.dynamic_modules.v3.DynamicModuleFilter", **module),
            named("c", "filters.http.router.v3.Router"),
        ],
        **tracing,
    )


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, list[dict[str, Any]]]]]:
    """By request and by format, those of all paths."""
    folders = {name: tmp_path_factory.mktemp("line") for name in NAMES}
    ports = {name: free_port() for name in NAMES}
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    managers = {ports[name]: manager(folders[name], request) for name, request in REQUESTS.items()}
    telemetry = Telemetry(otlp=f"http://127.0.0.1:{upstream.server_address[1]}")
    managers[ports[TRACED]] = manager(folders[TRACED], {}, telemetry)
    static = resources(managers, upstream.server_address[1], {"explicit_http_config": {"http_protocol_options": {}}})
    known = {"provider": "up", "key": "first", "line": spool.members_of({"target": "up", "provider_key": "first"})}
    static["clusters"][0]["metadata"] = {"filter_metadata": {CLUSTER_METADATA: known}}
    static["clusters"].append(edge_tracing.collector_cluster(telemetry).to_dict())
    envoy = LoneEnvoy(
        folders["text"], {"static_resources": static}, [*ports.values()], "--file-flush-interval-msec", "20"
    )
    try:
        for port in ports.values():
            for path in PATHS:
                ask(port, path)
            ask(port, PATHS[0], skip_host=True)
        yield {name: {one: read(folder / one) for one in ("spool", "json")} for name, folder in folders.items()}
    finally:
        envoy.close()
        upstream.shutdown()
        upstream.server_close()


def ask(port: int, path: str, *, skip_host: bool = False) -> None:
    """With an id: one that is refused at once gets none of Envoy's."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.putrequest("GET", path, skip_host=skip_host)
    client.putheader("x-request-id", "01234567-89ab-4def-8123-456789abcdef")
    client.endheaders()
    client.getresponse().read()
    client.close()


def read(file: Path) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while not file.exists() or file.read_text().count("\n") <= len(PATHS):
        assert time.monotonic() < deadline, file
        time.sleep(0.02)
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_envoys_json_says(name: str, lines: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    spool_lines, json_lines = ([{**line, "time": None} for line in lines[name][one]] for one in ("spool", "json"))
    assert spool_lines == json_lines


def test_it_says_whose_it_was_and_what_it_took(lines: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    there, here, refused = lines["text"]["spool"]
    assert (there["tenant"], there["target"], there["provider_key"], there["prompt_tokens"]) == (
        "acme",
        "up",
        "first",
        3,
    )
    assert (there["user"], there["reserved"], there["attempts"]) == (REQUESTS["text"]["user"], True, 1)
    assert (here["status"], here["target"], here["first_byte_ms"], here["prompt_tokens"]) == (404, None, None, None)
    assert (refused["status"], refused["tenant"], refused["target"], refused["trace_id"]) == (400, None, None, None)


def test_it_has_the_trace_where_there_is_one(lines: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    there, here, refused = (line["trace_id"] for line in lines[TRACED]["spool"])
    assert re.fullmatch(r"[0-9a-f]{32}", there)
    assert re.fullmatch(r"[0-9a-f]{32}", here)
    assert refused is None
    assert lines["an id of the client's trace"]["spool"][0]["trace_id"] == "ab" * 16
