"""A `headgate up` of the tests: the real supervisor, Envoy, filter workers and counters, on a file of the test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from headgate.supervise.process import start_ticks_of
from tests.gateway.json_lines import JsonLines, Line
from tests.supervise.gateway_process import remove_memory_folders

HEADGATE = str(Path(sys.executable).with_name("headgate"))
READY_S = 90.0
END_S = 60.0


class RunningGateway:
    """What a test can see of it: its address, its state folder, its spool and its logs."""

    def __init__(self, folder: Path, http: str, admin: str, process: "subprocess.Popen[bytes]") -> None:
        self.folder, self.http, self.admin_address, self.process = folder, http, admin, process
        self.state = folder / "state"
        self.spool = JsonLines(self.state / "spool", "*.ndjson", "request_id")

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    def post(self, path: str, body: Any, key: str | None, **headers: str) -> httpx2.Response:
        """A request like any client's; bytes are sent as they are, `_` in names of headers is `-`."""
        fields = {"content-type": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}
        if key:
            fields["authorization"] = f"Bearer {key}"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx2.post(self.url + path, content=raw, headers=fields, timeout=READY_S)

    def get(self, path: str, key: str | None) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.get(self.url + path, headers=headers, timeout=READY_S)

    def end_line(self, request_id: str) -> Line:
        """The request's last word in the spool."""
        return self.spool.wait(request_id, type="end")

    def pids(self, prefix: str) -> dict[str, int]:
        """The processes of parts whose name starts so."""
        return {name: part["pid"] for name, part in self._parts().items() if name.startswith(prefix)}

    def cluster(self, provider: str) -> str:
        """Envoy's name of a provider's cluster."""
        clusters = json.loads((self.state / "envoy/cds.json").read_bytes())["resources"]
        (name,) = [one["name"] for one in clusters if one["alt_stat_name"] == f"provider/{provider}"]
        return str(name)

    def admin(self, path: str) -> bytes:
        """An answer of Envoy's admin interface."""
        transport = httpx2.HTTPTransport(uds=str(self.state / "run/envoy-admin.sock"))
        with httpx2.Client(transport=transport) as client:
            return client.get(f"http://envoy{path}").read()

    def readyz(self) -> dict[str, Any]:
        """What the supervisor says of itself and its parts."""
        found: dict[str, Any] = httpx2.get(f"http://{self.admin_address}/readyz").json()
        return found

    def log(self) -> str:
        """What the supervisor has written so far."""
        return (self.folder / "up.log").read_text()

    def texts(self) -> dict[Path, int]:
        """The files that people read when something went wrong, with their sizes."""
        return {path: path.stat().st_size for path in [self.folder / "up.log", *self.state.glob("log/*")]}

    def end(self) -> int:
        """SIGTERM, as an operator's service manager sends it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_S)

    def clean_up(self) -> None:
        """End what an orderly end would have ended: this supervisor and the parts that it recorded as its own."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for part in self._parts().values():
            if start_ticks_of(part["pid"]) == part["start_ticks"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(part["pid"], signal.SIGKILL)
        remove_memory_folders(self.state)

    def _parts(self) -> dict[str, Any]:
        try:
            parts: dict[str, Any] = json.loads((self.state / "parts.json").read_bytes())["parts"]
        except FileNotFoundError:
            return {}
        return parts


@contextmanager
def running_gateway(
    folder: Path, config: Mapping[str, Any], env: Mapping[str, str], workers: int | None = 2
) -> Iterator[RunningGateway]:
    """Start a gateway on free ports with this configuration; end it with SIGTERM, which must be exit status 0.

    `http: None` under `listen` leaves the plain listener out.
    """
    http, admin = free_address(), free_address()
    listen = {"http": http, "admin": admin, **config.get("listen", {})}
    listen = {name: value for name, value in listen.items() if value is not None}
    path = folder / "gateway.yaml"
    path.write_text(json.dumps({**config, "listen": listen}, indent=2))  # JSON is YAML
    command = [HEADGATE, "up", "-c", str(path), "--state", str(folder / "state")]
    command += ["--workers", str(workers)] if workers else []
    with (
        (folder / "up.log").open("ab") as log,
        subprocess.Popen(
            [*command, "--drain-timeout", "5s"],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        gateway = RunningGateway(folder, http, admin, process)
        try:
            _wait_until_ready(gateway, admin)
            yield gateway
            assert gateway.end() == 0
        finally:
            gateway.clean_up()


def _wait_until_ready(gateway: RunningGateway, admin: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert gateway.process.poll() is None, (gateway.folder / "up.log").read_text()
        with contextlib.suppress(httpx2.TransportError):
            answer = httpx2.get(f"http://{admin}/readyz")
            # Control comes after the rest, nobody waits for it: tests that look at processes would meet its start.
            if answer.status_code == 200 and "control" not in answer.json()["degraded"]:
                return
        time.sleep(0.05)
    raise AssertionError((gateway.folder / "up.log").read_text())


def headgate(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    return subprocess.run(
        [HEADGATE, *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
