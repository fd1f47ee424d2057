"""A spool's `end` lines in the real Envoy: one for each request, and what its JSON format says."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType

from headgate.contract import AUTHZ, CLUSTER_METADATA, LIMITER, REQUEST
from headgate.edge import spool
from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, named, resources, typed

REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"user": 'a "b" \\ c\n', "model": "acme/bot", "provider_left": "x\ny\nrequests=1,2,3"},
    "numbers": {"estimated": 7, "counted": 0, "generation": 2**40, "streamed": True, "estimated_units": 2},
    "no ASCII": {"user": "Jürgen", "price_factor": "0.9"},
    "a fraction": {"estimated": 0.5},
    "nothing": {},
}
PATHS = ("/there", "/here")
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def manager(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    said = {
        AUTHZ: {"tenant": "acme", "key_id": "ci", "generation": 3},
        REQUEST: {"surface": "chat", "endpoint": "/chat/completions", **request},
        LIMITER: {"reserved": True},
    }
    metadata = [{"metadata_namespace": name, "value": value} for name, value in said.items()]
    module = {"filter_name": "metering", "dynamic_module_config": {"metrics_namespace": "headgate.metering"}}
    module["dynamic_module_config"]["module"] = {"local": {"filename": str(MODULE)}}  # type: ignore[index]
    plain = spool.json_log(str(folder / "json"), "end", AccessLogType.DownstreamEnd)
    routes = [
        {"match": {"prefix": "/there"}, "route": {"cluster": "x"}},
        {"match": {"prefix": "/here"}, "direct_response": {"status": 404}},
    ]
    return typed(
        MANAGER,
        stat_prefix="x",
        generate_request_id=True,
        access_log=[one.to_dict() for one in (*spool.edge_logs(str(folder / "spool")), plain)],
        route_config={"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": routes}]},
        http_filters=[
            named("a", "filters.http.set_metadata.v3.Config", metadata=metadata),
            named("b", "filters.http.dynamic_modules.v3.DynamicModuleFilter", **module),
            named("c", "filters.http.router.v3.Router"),
        ],
    )


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, list[dict[str, Any]]]]]:
    """By request and by format, those of all paths."""
    folders = {name: tmp_path_factory.mktemp("line") for name in REQUESTS}
    ports = {name: free_port() for name in REQUESTS}
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    managers = {ports[name]: manager(folders[name], request) for name, request in REQUESTS.items()}
    static = resources(managers, upstream.server_address[1], {"explicit_http_config": {"http_protocol_options": {}}})
    known = {"provider": "up", "key": "first", "line": spool.members_of({"target": "up", "provider_key": "first"})}
    static["clusters"][0]["metadata"] = {"filter_metadata": {CLUSTER_METADATA: known}}
    envoy = LoneEnvoy(
        folders["text"], {"static_resources": static}, [*ports.values()], "--file-flush-interval-msec", "20"
    )
    try:
        for port in ports.values():
            for path in PATHS:
                with urllib.request.build_opener(Answered).open(
                    f"http://127.0.0.1:{port}{path}", timeout=10
                ) as reply:
                    reply.read()
        yield {name: {one: read(folder / one) for one in ("spool", "json")} for name, folder in folders.items()}
    finally:
        envoy.close()
        upstream.shutdown()
        upstream.server_close()


class Answered(urllib.request.HTTPErrorProcessor):
    """Every status is an answer."""

    def http_response(self, _request: Any, response: Any) -> Any:
        return response


def read(file: Path) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    while not file.exists() or file.read_text().count("\n") < len(PATHS):
        assert time.monotonic() < deadline, file
        time.sleep(0.02)
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("name", REQUESTS)
def test_it_says_what_envoys_json_says(name: str, lines: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    spool_lines, json_lines = ([{**line, "time": None} for line in lines[name][one]] for one in ("spool", "json"))
    assert spool_lines == json_lines


def test_it_says_whose_it_was_and_what_it_took(lines: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    there, here = lines["text"]["spool"]
    assert (there["tenant"], there["target"], there["provider_key"], there["prompt_tokens"]) == (
        "acme",
        "up",
        "first",
        3,
    )
    assert (there["user"], there["reserved"], there["attempts"]) == (REQUESTS["text"]["user"], True, 1)
    assert (here["status"], here["target"], here["first_byte_ms"], here["prompt_tokens"]) == (404, None, None, None)
