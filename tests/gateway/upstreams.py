"""What stands behind the gateway: simulator processes with their records, and two kinds of dead providers."""

import contextlib
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from json_lines import JsonLines, Line
from running_gateway import END_S, HEADGATE
from wire import Reply, ask, post


class Engine:
    """A simulator process. What reached it is found by the gateway's request id, which ends its answers' ids."""

    def __init__(self, address: str, record: Path) -> None:
        self.address, self.record = address, record
        self.lines = JsonLines(record.parent, record.name, "id")

    async def direct(self, path: str, body: bytes, request_id: str) -> Reply:
        """The same request without a gateway in between; with the same id the answer is the same too."""
        headers = {"content-type": "application/json", "x-request-id": request_id}
        return await ask(self.address, post(path, body, headers))

    def request(self, request_id: str) -> Line:
        """What the engine received as this request."""
        return self._line(request_id, event="request")

    def headers(self, request_id: str) -> dict[str, str]:
        """The headers that it received, lower case; every one at most once."""
        pairs = [(name.lower(), value) for name, value in self.request(request_id)["headers"]]
        assert len(pairs) == len({name for name, _ in pairs}), pairs
        return dict(pairs)

    def disconnect(self, request_id: str) -> Line:
        """How far the answer was when its client left."""
        return self._line(request_id, event="disconnect")

    def has_seen(self, request_id: str) -> bool:
        return any(line["id"].endswith(request_id) for line in self.lines.all())

    def _line(self, request_id: str, **fields: Any) -> Line:
        for prefix in ("chatcmpl-", "cmpl-", "msg_", "resp_"):
            if self.lines.of(prefix + request_id):
                return self.lines.wait(prefix + request_id, **fields)
        return self.lines.wait("req-" + request_id, **fields)


@contextmanager
def simulator(folder: Path, name: str, ttft: str = "5ms") -> Iterator[Engine]:
    """Run `headgate serve simulator`; SIGTERM must end it without an error."""
    record, errors = folder / f"{name}.jsonl", folder / f"{name}.stderr"
    command = [HEADGATE, "serve", "simulator", "--port", "0", "--ttft", ttft, "--token-time", "1ms"]
    with (
        errors.open("wb") as stderr,
        subprocess.Popen([*command, "--record", str(record)], stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        try:
            assert process.stdout
            listening = re.search(r"http://([\d.:]+)", process.stdout.readline().decode())
            assert listening, errors.read_text()
            yield Engine(listening[1], record)
            process.terminate()
            assert process.wait(END_S) == 0, errors.read_text()
        finally:
            process.kill()


@contextmanager
def refused_address() -> Iterator[str]:
    """An address that refuses connections and that nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def closing_address() -> Iterator[str]:
    """A server that reads what it is sent and closes in an orderly way without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    peer, _ = server.accept()
                    with peer:
                        peer.settimeout(1)
                        peer.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()
