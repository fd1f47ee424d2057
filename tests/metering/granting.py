"""An Envoy as far as a grant concerns it: the metering filter behind a stand-in of the limiter, and an upstream.

The listener takes from clients what the product's own does; the stand-in grants what the header `grant` says, to
bodies that are buffered as in the product.
"""

import contextlib
import http.server
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headgate.config.check import check
from headgate.edge.render import EdgeSettings, render
from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, named, resources, typed

AT = 16  # of the field, in all bodies

_GATEWAY = """\
providers: {p: {api: openai, base_url: "http://p.test"}}
models: {m: {targets: [{provider: p, model: x}]}}
tenants: {t: {models: [m]}}
"""
# As Envoy's rate limit filter, it adds to what is there.
_LIMITER = """\
function envoy_on_request(handle)
  local body, granted = handle:body(), handle:headers():get("grant")
  for number in (granted or ""):gmatch("%S+") do handle:headers():add("x-headgate-max-tokens", number) end
  handle:headers():remove("grant")
end
"""


class Upstream:
    """Answers with the next of `statuses`, then with 200; keeps headers and bodies."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[dict[str, str], bytes]] = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                upstream.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, text = upstream.statuses.pop(0) if upstream.statuses else 200, b"{}"
                self.send_response(status)
                for name, value in {"content-type": "application/json", **upstream.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """No further request."""
        self._server.shutdown()
        self._server.server_close()


class Granting:
    """`port` is for requests with a place for the number, `unplanned` for those without."""

    def __init__(self, folder: Path) -> None:
        self.upstream, self.port, self.unplanned = Upstream(), free_port(), free_port()
        early = _early_mutations(folder)
        managers = {
            self.port: _manager(early, {"max_at": AT, "endpoint": "/x", "surface": "chat"}),
            self.unplanned: _manager(early, {"surface": "chat"}),
        }
        static = resources(managers, self.upstream.port, {"explicit_http_config": {"http_protocol_options": {}}})
        self._envoy = LoneEnvoy(folder, {"static_resources": static}, list(managers))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.upstream.close()
        self._envoy.close()

    def ask(self, body: bytes, *statuses: int, port: int | None = None, **headers: str) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer; the upstream answers its attempts with these statuses."""
        self.upstream.statuses, self.upstream.requests = list(statuses), []
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = ["POST / HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}", *lines, "", ""]
        with socket.create_connection(("127.0.0.1", port or self.port), timeout=30) as client:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall("\r\n".join(head).encode() + body)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while more := client.recv(65536):
                    received += more
        start, *found = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        pairs = (line.partition(": ") for line in found)
        return int(start.split()[1]), {name: value for name, _, value in pairs}


def _early_mutations(folder: Path) -> list[dict[str, Any]]:
    path = folder / "gateway.yaml"
    path.write_text(_GATEWAY)
    checked = check(path, {})
    assert checked.gateway, checked.problems
    rendering = render(checked.gateway, EdgeSettings(workers=1, spool="spool/x.ndjson", generation=1), folder, {})
    (listener, _inner) = rendering.bootstrap["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    found: list[dict[str, Any]] = manager["early_header_mutation_extensions"]
    return found


def _manager(early: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    retry = {"retry_on": "5xx", "num_retries": 1, "retry_back_off": {"base_interval": "0.001s"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "x", "retry_policy": retry}}
    module = {
        "filter_name": "metering",
        "dynamic_module_config": {
            "module": {"local": {"filename": str(MODULE)}},
            "metrics_namespace": "headgate.metering",
        },
    }
    metadata = [{"metadata_namespace": "hg.request", "value": request}]
    host = {"name": "x", "domains": ["*"], "request_body_buffer_limit": 2**23, "routes": [route]}
    filters = [
        named("metadata", "filters.http.set_metadata.v3.Config", metadata=metadata),
        named("buffer", "filters.http.buffer.v3.Buffer", max_request_bytes=2**23),
        named("limiter", "filters.http.lua.v3.Lua", default_source_code={"inline_string": _LIMITER}),
        named("module", "filters.http.dynamic_modules.v3.DynamicModuleFilter", **module),
        named("router", "filters.http.router.v3.Router"),
    ]
    return typed(
        MANAGER,
        stat_prefix="x",
        early_header_mutation_extensions=early,
        route_config={"virtual_hosts": [host]},
        http_filters=filters,
    )
