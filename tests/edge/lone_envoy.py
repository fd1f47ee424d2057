"""One Envoy with a configuration that a test has written, on loopback, and what such configurations share."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import headgate
from headgate.supervise.binaries import envoy

MODULE = Path(headgate.__file__).parent / "_envoy" / "module.so"
MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"

_TYPES = "type.googleapis.com/envoy.extensions"


class LoneEnvoy:
    """Runs when made; `ports` are those that it must listen on by then."""

    def __init__(
        self, folder: Path, bootstrap: dict[str, Any], ports: list[int], *options: str, workers: int = 1
    ) -> None:
        config = folder / "envoy.json"
        config.write_text(json.dumps(bootstrap))
        fixed = ["--disable-hot-restart", "-l", "error", "--concurrency", str(workers)]
        self._process = subprocess.Popen([envoy(), "-c", config, *fixed, *options], start_new_session=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(map(_refuses, ports)):
            time.sleep(0.02)

    def close(self) -> None:
        """It has to end well, too."""
        self._process.terminate()
        assert self._process.wait(30) == 0


def typed(kind: str, **members: Any) -> dict[str, Any]:
    """An extension's configuration."""
    return {"@type": f"{_TYPES}.{kind}", **members}


def named(name: str, kind: str, **members: Any) -> dict[str, Any]:
    """A filter."""
    return {"name": name, "typed_config": typed(kind, **members)}


def address(port: int) -> dict[str, Any]:
    """A port of loopback."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def resources(managers: dict[int, dict[str, Any]], upstream: int, options: dict[str, Any]) -> dict[str, Any]:
    """A listener for each port with its connection manager, and the cluster `x` with its protocol options."""
    listeners = [
        {"address": address(port), "filter_chains": [{"filters": [{"name": "x", "typed_config": manager}]}]}
        for port, manager in managers.items()
    ]
    endpoint = {"endpoint": {"address": address(upstream)}}
    http = typed("upstreams.http.v3.HttpProtocolOptions", **options)
    cluster = {
        "name": "x",
        "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http},
        "load_assignment": {"cluster_name": "x", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"listeners": listeners, "clusters": [cluster]}


def _refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
