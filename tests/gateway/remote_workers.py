"""Filter workers as other hosts have them: processes with state folders of their own, reached by mutual TLS."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from running_gateway import HEADGATE, free_address

from tests.certificates import DAY, Authority

GATEWAY = "spiffe://example.test/gateway"
READY_S = 60.0


class Credentials:
    """Both sides' certificates, in one folder; `renew` puts others in their place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers, self.gateways = Authority("workers"), Authority("gateways")
        (folder / "workers-ca.pem").write_bytes(self.workers.pem)
        (folder / "gateways-ca.pem").write_bytes(self.gateways.pem)
        self.renew()
        self.gateways.issue("spiffe://example.test/other").write(folder, "other")
        self.gateways.issue(GATEWAY, began=3 * DAY, ends=-DAY).write(folder, "expired")
        Authority("strangers").issue(GATEWAY).write(folder, "stranger")

    def renew(self) -> int:
        """The serial number of the workers' new one."""
        issued = self.workers.issue("127.0.0.1", "worker.test")
        issued.write(self.folder, "worker")
        self.gateways.issue(GATEWAY).write(self.folder, "gateway")
        return issued.serial

    def of_gateway(self, endpoints: Sequence[str]) -> dict[str, Any]:
        """`services.filters`."""
        path = self.folder
        return {
            "endpoints": list(endpoints),
            "ca": str(path / "workers-ca.pem"),
            "cert": str(path / "gateway.pem"),
            "key": str(path / "gateway-key.pem"),
        }

    def of_worker(self) -> list[str]:
        """Its options."""
        names = {"--cert": "worker.pem", "--key": "worker-key.pem", "--client-ca": "gateways-ca.pem"}
        return [
            *(str(part) for key, name in names.items() for part in (key, self.folder / name)),
            "--client",
            GATEWAY,
        ]


class RemoteWorker:
    """One of them; it may be killed and started again, stopped and let go on."""

    def __init__(self, folder: Path, credentials: Credentials) -> None:
        self.address = free_address()
        self.state, self.log = folder / "state", folder / "worker.log"
        self._options = ["--address", self.address, "--state", str(self.state), *credentials.of_worker()]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [HEADGATE, "serve", "filters", *self._options, "--drain-timeout", "5s"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Its exit status after an orderly end."""
        assert self.process
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(READY_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def remote_workers(folder: Path, credentials: Credentials, count: int = 2) -> Iterator[list[RemoteWorker]]:
    """Workers that wait for their gateway; what they wrote is in `worker.log` of their folders."""
    with ExitStack() as stack:
        workers = []
        for index in range(count):
            place = folder / f"worker-{index}"
            place.mkdir()
            worker = RemoteWorker(place, credentials)
            worker.start()
            stack.callback(worker.end)
            workers.append(worker)
        yield workers
