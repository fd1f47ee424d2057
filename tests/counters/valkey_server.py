"""A valkey-server of the test's own, on a Unix socket, and what may be done to it."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from headgate.supervise import binaries
from tests.stopped import stop


class ValkeyServer:
    """It may be killed and started again, stopped and let go on; its data stays in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "v.sock"
        self._command = (
            *(binaries.valkey_server(), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)),
            *("--appendonly", "yes", "--save", "", *options),
        )
        self._log = (folder / "valkey.log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except RedisError:
                assert time.monotonic() < deadline, "valkey-server does not answer"
                time.sleep(0.01)
            else:
                return

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), decode_responses=True, socket_timeout=10)

    def raw_client(self) -> Redis:
        """One that does not decode what it is answered."""
        return Redis(unix_socket_path=str(self.socket), socket_timeout=10)

    def send(self, number: signal.Signals) -> None:
        assert self.process
        if number is signal.SIGSTOP:
            stop(self.process.pid)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process:
            self.kill()
        self._log.close()


@contextmanager
def valkey_server(folder: Path, *options: str) -> Iterator[ValkeyServer]:
    server = ValkeyServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.close()
