"""A ClickHouse of tests (clickhouse_shim.py) in a process of its own, which can be killed, stopped and started."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from headgate.store_url import StoreUrl, parse

STARTS_WITHIN_S = 60.0


class Server:
    def __init__(self, folder: Path, port: int) -> None:
        self._command = [sys.executable, "-m", "tests.store.clickhouse_shim", str(folder), str(port)]
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> StoreUrl:
        return parse(f"clickhouse://someone:hidden@127.0.0.1:{self._port}/gate")

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.send(signal.SIGKILL)
