"""An upstream that answers each connection by the next script, and an Envoy before it with the hold filter alone."""

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headgate.supervise.ports import free_port
from tests.edge.lone_envoy import MANAGER, MODULE, LoneEnvoy, named, resources, typed

HEADERS_MS = 1000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TOKEN = b"5\r\ntoken\r\n"
END = b"0\r\n\r\n"
RESET = "reset"

Step = bytes | float | str  # what to write, seconds to wait, RESET
Script = list[Step]

_RST = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s


class Upstream:
    """Each request is a connection, each connection plays the next of `scripts`."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.asked = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def close(self) -> None:
        """No further connection."""
        self._server.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                self.asked += 1
                script = self.scripts.pop(0) if self.scripts else [RESET]
                threading.Thread(target=_play, args=(peer, script), daemon=True).start()


def _play(peer: socket.socket, script: Script) -> None:
    with peer, contextlib.suppress(ConnectionError):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.recv(65536)
        for step in script:
            if isinstance(step, bytes):
                peer.sendall(step)
            elif isinstance(step, float):
                time.sleep(step)
            else:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)


class Holding:
    """The Envoy: a port for streams, with a time for headers, and one for answers that come whole."""

    def __init__(self, folder: Path) -> None:
        self.upstream = Upstream()
        self.streams, self.whole, self.translated = free_port(), free_port(), free_port()
        self._envoy = LoneEnvoy(folder, self._bootstrap(), [self.streams, self.whole, self.translated], workers=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.upstream.close()
        self._envoy.close()

    def ask(self, port: int, *scripts: Script) -> list[bytes]:
        """What the client received, by the read; the upstream plays these scripts, one for each attempt."""
        self.upstream.scripts, self.upstream.asked = list(scripts), 0
        received = []
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while more := client.recv(65536):
                    received.append(more)
        return received

    def _bootstrap(self) -> dict[str, Any]:
        streams = {"endpoint": "/chat/completions", "headers_ms": HEADERS_MS}
        ports = {
            self.streams: _manager(streams, f"{HEADERS_MS / 1000}s"),
            self.whole: _manager({"endpoint": "/chat/completions"}, None),
            self.translated: _manager(streams, f"{HEADERS_MS / 1000}s", "/messages"),
        }
        module = {"filter_name": "hold", "dynamic_module_config": {"module": {"local": {"filename": str(MODULE)}}}}
        filters = [
            named("hold", "filters.http.dynamic_modules.v3.DynamicModuleFilter", **module),
            named("codec", "filters.http.upstream_codec.v3.UpstreamCodec"),
        ]
        http = {"explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}, "http_filters": filters}
        return {"static_resources": resources(ports, self.upstream.port, http)}


def _manager(request: dict[str, Any], per_try_timeout: str | None, path: str = "") -> dict[str, Any]:
    retry: dict[str, Any] = {"retry_on": "reset,connect-failure,5xx", "num_retries": 2}
    if per_try_timeout:
        retry["per_try_timeout"] = per_try_timeout
    route: dict[str, Any] = {"match": {"prefix": "/"}, "route": {"cluster": "x", "retry_policy": retry}}
    if path:
        route["request_headers_to_add"] = [{"header": {"key": "x-headgate-path", "value": path}}]
    host = {"name": "x", "domains": ["*"], "include_request_attempt_count": True, "routes": [route]}
    metadata = [{"metadata_namespace": "hg.request", "value": request}]
    return typed(
        MANAGER,
        stat_prefix="x",
        http_protocol_options={"enable_trailers": True},
        route_config={"virtual_hosts": [host]},
        http_filters=[
            named("a", "filters.http.set_metadata.v3.Config", metadata=metadata),
            named("b", "filters.http.router.v3.Router"),
        ],
    )
