"""A real Envoy with provider clusters of the test's own, and what stands behind them: an engine, a name server."""

import json
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from headgate.supervise import binaries
from headgate.supervise.parts_file import boot_id
from headgate.supervise.ports import free_port
from headgate.supervise.process import start_ticks_of

TYPES = "type.googleapis.com/envoy.extensions"


def name_of(provider: str) -> str:
    return f"provider/{provider}@0123456789"


class Engine:
    """Answers every request with `status`; holds those for /slow until `release` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.release = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while request := peer.recv(65536):
                if b"/slow" in request:
                    self.release.wait()
                peer.sendall(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % self.status)


class NameServer:
    """Says that every name is 127.0.0.1 while `known`, and that there is none otherwise. RFC 1035."""

    def __init__(self) -> None:
        self.known = True
        self._server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._server.bind(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.port: int = self._server.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                query, sender = self._server.recvfrom(512)
                self._server.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 5
        question, kind = query[12:end], query[end - 4 : end - 2]
        has = self.known and kind == b"\0\1"
        flags = 0x8180 if self.known else 0x8183  # NXDOMAIN
        head = query[:2] + struct.pack(">HHHHH", flags, 1, int(has), 0, 0)
        return head + question + (b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 1, 4) + b"\x7f\0\0\1" if has else b"")


def cluster(provider: str, *ports: int, host: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
    """A provider's cluster with these endpoints."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}} for port in ports
    ]
    return {
        "name": name_of(provider),
        "alt_stat_name": f"provider/{provider}",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name_of(provider), "endpoints": [{"lb_endpoints": endpoints}]},
        **more,
    }


class Edge:
    """One Envoy; /PROVIDER/… goes to that provider's cluster."""

    def __init__(self, folder: Path, epoch: str, *clusters: dict[str, Any]) -> None:
        self.epoch, self.admin = epoch, folder / f"{epoch[-6:]}.sock"
        self._port, self._config = free_port(), folder / f"{epoch}.json"
        self._config.write_text(json.dumps(_bootstrap(self.admin, self._port, clusters)))
        self.process = subprocess.Popen(
            [binaries.envoy(), "-c", self._config, "--disable-hot-restart", "-l", "error", "--concurrency", "1"],
            start_new_session=True,
        )

    def ask(self, path: str) -> int:
        """The status of a request."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=30) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    def record(self) -> dict[str, Any]:
        """What parts.json says of it."""
        pid, spool = self.process.pid, f"spool/{self.epoch}.ndjson"
        known = {"pid": pid, "start_ticks": start_ticks_of(pid), "digest": ""}
        return {**known, "spool": spool, "admin": str(self.admin)}

    def until_it_listens(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def edge(folder: Path, epoch: str, *clusters: dict[str, Any]) -> Iterator[Edge]:
    running = Edge(folder, epoch, *clusters)
    try:
        running.until_it_listens()
        yield running
    finally:
        running.kill()


def record_parts(state: Path, *edges: Edge) -> None:
    """Have parts.json say that these live."""
    parts = {f"envoy-{edge.epoch}": edge.record() for edge in edges}
    draft = state / f".parts.{os.getpid()}"
    draft.write_text(json.dumps({"boot_id": boot_id(), "parts": parts, "version": 1}))
    draft.replace(state / "parts.json")


def _bootstrap(admin: Path, port: int, clusters: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    routes = [
        {
            "match": {"path_separated_prefix": "/" + one["alt_stat_name"].removeprefix("provider/")},
            "route": {"cluster": one["name"], "timeout": "60s"},
        }
        for one in clusters
    ]
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "r", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "x", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "static_resources": {"clusters": list(clusters), "listeners": [listener]},
    }
