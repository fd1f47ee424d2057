"""`headgate serve control` as a child process of a test, and requests as Envoy and the supervisor bring them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from headgate.contract import CONTROL_API_SOCKET, DATABASE_URL_ENV, IDENTITY_HEADER, PEPPER, SERVICE_KEY
from headgate.identity import Identity, sign
from headgate.standing import Standing

HEADGATE = str(Path(sys.executable).with_name("headgate"))
SECRET = "s" * 43
DEADLINE_S = 60.0


class ControlProcess:
    """One state directory; its process may end and be started again."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.process: subprocess.Popen[bytes] | None = None
        for path in (PEPPER, SERVICE_KEY):
            (state / path).parent.mkdir(mode=0o700, exist_ok=True)
            (state / path).write_text(SECRET)

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [HEADGATE, "serve", "control", "--state", str(self.state), "--lifeline"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
            )
        self.until(lambda: self.standing() is not None)

    def standing(self) -> Standing | None:
        """None while nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.state / CONTROL_API_SOCKET))
        except OSError:
            return None
        with self._client() as client:
            answer = client.get("http://control/health")
        assert answer.status_code == 200
        return msgspec.json.decode(answer.content, type=Standing)

    def until_state(self, state: str) -> Standing:
        self.until(lambda: (found := self.standing()) is not None and found.state == state)
        found = self.standing()
        assert found
        return found

    def until(self, holds: Any) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert self.process
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: Any = None, *, signed: bool = True) -> httpx2.Response:
        """As Envoy brings a platform admin's request; bytes are an upload."""
        identity = Identity(
            "key", "key_a", None, "admin", {}, "request-1", "192.0.2.1", method, path, round(time.time() * 1000)
        )
        headers = {"x-request-id": "request-1"}
        if signed:
            headers[IDENTITY_HEADER] = sign(identity, SECRET.encode())
        said = {"content": body} if isinstance(body, bytes) else {"json": body}
        if isinstance(body, bytes):
            headers["content-type"] = "application/octet-stream"
        with self._client() as client:
            return client.request(method, f"http://control{path}", headers=headers, **said)

    def first_key(self) -> httpx2.Response:
        with self._client() as client:
            return client.post("http://control/first-key")

    def log(self) -> str:
        return self._log.read_text()

    def end(self) -> int:
        """By its lifeline."""
        assert self.process
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """At once."""
        assert self.process
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()

    def clean_up(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin
            self.process.stdin.close()

    @property
    def _log(self) -> Path:
        return self.state / "control.log"

    def _client(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.state / CONTROL_API_SOCKET)), timeout=60)


@contextmanager
def control_process(state: Path, url: str | None = None) -> Iterator[ControlProcess]:
    """Started, on the database at `url`."""
    control = ControlProcess(state)
    try:
        control.start({DATABASE_URL_ENV: url} if url else None)
        yield control
    finally:
        control.clean_up()
