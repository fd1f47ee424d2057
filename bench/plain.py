"""Plain Envoy, the yardstick: one listener, one route, one cluster, no access log; the gateway's count of threads."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import end
from headgate.supervise import binaries

_TYPES = "type.googleapis.com/envoy.extensions"


@contextmanager
def plain_envoy(folder: Path, port: int, upstream: int) -> Iterator[int]:
    """Run it on `port`; its pid."""
    path = folder / "plain-envoy.json"
    path.write_text(json.dumps(plain_bootstrap(port, upstream)))
    command = [binaries.envoy(), "-c", str(path), "--disable-hot-restart", "--log-level", "warning"]
    with (folder / "plain-envoy.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--concurrency", str(cores())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        end(process)


def cores() -> int:
    """Cores that this process may use; `headgate up` counts the same for its Envoy."""
    return len(os.sched_getaffinity(0))


def plain_bootstrap(port: int, upstream: int) -> dict[str, Any]:
    """Its configuration."""
    router = {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plain",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [router],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoint = {"endpoint": {"address": _address(upstream)}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
