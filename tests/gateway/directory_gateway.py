"""Envoy and filter workers whose directory a test writes itself, as control does, on a state folder of its own."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
import msgspec
from running_gateway import HEADGATE, free_address, headgate

from headgate.contract import DIRECTORY, IDENTITY, LOGS, PEPPER, RUN, SERVICE_KEY, SPOOL, worker_generation
from headgate.directory.rows import Change, KeyRow, Mark, change_to
from headgate.directory.writer import Writer
from headgate.supervise.binaries import envoy
from headgate.virtual_key import digest_of

PEPPER_TEXT, SERVICE_TEXT = "p" * 43, "s" * 43
READY_S = 90.0


class DirectoryGateway:
    """A gateway of two workers; `put` changes what the database says."""

    def __init__(self, folder: Path, http: str) -> None:
        self.state, self.http = folder / "state", http
        for place in (IDENTITY, LOGS, RUN, SPOOL):
            (self.state / place).mkdir(parents=True)
        (self.state / PEPPER).write_text(PEPPER_TEXT)
        (self.state / SERVICE_KEY).write_text(SERVICE_TEXT)
        self._networks = itertools.count()
        self._version = 0
        self._writer = Writer(self.state / DIRECTORY)
        assert self._writer.open()
        self._writer.replace(self._mark(), [])

    def _mark(self) -> Mark:
        return Mark(self._version, self._version, bytes(32))

    def put(self, *rows: Any) -> None:
        """These rows, or changes."""
        self._version += 1
        stamped = [
            one if isinstance(one, Change) else msgspec.structs.replace(one, version=self._version) for one in rows
        ]
        self._writer.append(self._mark(), [one if isinstance(one, Change) else change_to(one) for one in stamped])

    def close(self) -> None:
        self._writer.close()

    def ask(self, key: str, path: str = "/v1/chat/completions", source: str | None = None) -> httpx2.Response:
        """A whole answer to a small question. `source` is the client's own address, of loopback's /8."""
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        transport = httpx2.HTTPTransport(local_address=source or self._fresh_address())
        with httpx2.Client(transport=transport, timeout=READY_S) as client:
            return client.post(f"http://{self.http}{path}", json=body, headers={"authorization": f"Bearer {key}"})

    def _fresh_address(self) -> str:
        """Of a network that made no mistakes yet."""
        number = next(self._networks)
        return f"127.{number // 256 + 1}.{number % 256}.1"

    def statuses(self, key: str, count: int = 6) -> set[int]:
        """Of several requests, so that each worker has its turn."""
        return {self.ask(key).status_code for _ in range(count)}

    def until(self, key: str, status: int) -> None:
        """Wait until both workers answer with it."""
        deadline = time.monotonic() + READY_S
        while self.statuses(key) != {status}:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def key_row(key: str, key_id: str, tenant: str | None = "acme", **more: Any) -> KeyRow:
    return KeyRow(key_id, tenant, digest_of(key, PEPPER_TEXT.encode()), "", **({"role": "developer"} | more))


@contextmanager
def directory_gateway(folder: Path, config: Mapping[str, Any]) -> Iterator[DirectoryGateway]:
    """Runs one; what it wrote is shown when a test fails."""
    http = free_address()
    gateway = DirectoryGateway(folder, http)
    file = folder / "gateway.yaml"
    file.write_text(json.dumps({**config, "listen": {"http": http}}))
    rendered = headgate("render", "--json", str(file))
    assert rendered.returncode == 0, rendered.stderr
    (gateway.state / "envoy.json").write_text(rendered.stdout)
    log = (folder / "processes.log").open("ab")
    with ExitStack() as stack:
        stack.callback(log.close)
        stack.callback(gateway.close)
        for index in range(2):
            options = ("--state", str(gateway.state), "--worker", str(index))
            _started(stack, (HEADGATE, "serve", "filters", "-c", str(file), *options), folder, log)
        _wait(lambda: all((gateway.state / worker_generation(index)).exists() for index in range(2)), folder)
        fixed = ("--disable-hot-restart", "-l", "warning", "--concurrency", "2")
        _started(stack, (envoy(), "-c", "envoy.json", *fixed), gateway.state, log)
        _wait(lambda: _answers(http), folder)
        yield gateway


def _started(stack: ExitStack, command: Sequence[str], folder: Path, log: BinaryIO) -> None:
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
    )

    def end() -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


def _answers(http: str) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"http://{http}/v1/models", timeout=5).status_code == 401
    return False


def _wait(done: Any, folder: Path) -> None:
    deadline = time.monotonic() + READY_S
    while not done():
        assert time.monotonic() < deadline, (folder / "processes.log").read_text()[-6000:]
        time.sleep(0.05)
