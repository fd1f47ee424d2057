"""What the simulator saw, a JSON line per event for tests to read: requests, ends, disconnects."""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(slots=True)
class Exchange:
    """One request and how far its answer got."""

    id: str
    number: int
    chunks_sent: int = 0
    """Events sent that carry a token."""
    cut: bool = False
    """Whether the simulator itself dropped the connection."""


class Record:
    """Appends lines to a file; without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab", buffering=0) if path is not None else None  # one write per line

    def request(self, exchange: Exchange, method: str, path: str, headers: list[list[str]], body: bytes) -> None:
        """Append what was received, headers in their order and spelling."""
        text = body.decode("utf-8", "replace")
        self._append("request", exchange, method=method, path=path, headers=headers, body=text)

    def end(self, exchange: Exchange, *, completed: bool) -> None:
        """Append the end of an answer that the simulator ended itself."""
        self._append("end", exchange, completed=completed, chunks_sent=exchange.chunks_sent)

    def disconnect(self, exchange: Exchange) -> None:
        """Append that the client left before the end."""
        self._append("disconnect", exchange, completed=False, chunks_sent=exchange.chunks_sent)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, event: str, exchange: Exchange, **fields: object) -> None:
        if self._file is None:
            return
        line = {"event": event, "id": exchange.id, "n": exchange.number, "time": time.time(), **fields}
        self._file.write(msgspec.json.encode(line) + b"\n")
