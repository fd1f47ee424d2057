"""A real OpenBao in development mode, and a client with its root token to arrange what a test needs."""

import contextlib
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import requests

from tests.stopped import stop

BAO = Path(sys.executable).with_name("bao")


@dataclass
class Bao:
    """The server and its administrator."""

    url: str
    process: subprocess.Popen[bytes]
    admin: Any

    def put(self, path: str, **fields: Any) -> None:
        """A new version below the mount `secret`, which keeps versions."""
        self.admin.secrets.kv.v2.create_or_update_secret(path, secret=fields, mount_point="secret")

    def policy(self, name: str, *lines: str) -> None:
        """Lines as `secret/data/*: read`."""
        said = [line.partition(": ") for line in lines]
        text = "\n".join(f'path "{path}" {{ capabilities = ["{can}"] }}' for path, _, can in said)
        self.admin.sys.create_or_update_policy(name, text)

    def token(self, *policies: str, ttl: str = "1h", **more: Any) -> str:
        made: str = self.admin.auth.token.create(policies=list(policies), ttl=ttl, **more)["auth"]["client_token"]
        return made

    def approle(self, *policies: str, ttl: str = "1h", max_ttl: str = "2h") -> tuple[str, str]:
        """The role's id and a secret id."""
        with contextlib.suppress(hvac.exceptions.InvalidRequest):
            self.admin.sys.enable_auth_method("approle")
        role = self.admin.auth.approle
        role.create_or_update_approle("headgate", token_policies=list(policies), token_ttl=ttl, token_max_ttl=max_ttl)
        role_id = role.read_role_id("headgate")["data"]["role_id"]
        return role_id, role.generate_secret_id("headgate")["data"]["secret_id"]

    def sign_ins(self) -> int:
        """How many tokens there are."""
        return len(self.admin.auth.token.list_accessors()["data"]["keys"])

    def hang(self) -> None:
        stop(self.process.pid)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def bao_server(folder: Path, port: int | None = None) -> Iterator[Bao]:
    """Unsealed, with KV of version 2 at `secret/`. What it is told is in memory."""
    port, root = port or free_port(), secrets.token_hex(8)
    command = (
        *(str(BAO), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={root}"),
        *(f"-dev-listen-address=127.0.0.1:{port}", "-log-level=error"),
    )
    url = f"http://127.0.0.1:{port}"
    with (folder / "bao.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(folder)}, cwd=folder)
    admin = hvac.Client(url=url, token=root, timeout=20)
    try:
        _until_up(admin, folder / "bao.log")
        yield Bao(url, process, admin)
    finally:
        admin.adapter.close()
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _until_up(admin: Any, log: Path, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(requests.exceptions.ConnectionError, hvac.exceptions.VaultError):
            admin.secrets.kv.v2.configure(max_versions=20, mount_point="secret")
            return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
