"""Keeps spool lines that are none, with the reason and where they stood: `ledger/quarantine.ndjson`, for people.

Two files of a bounded size: the second has what was there before. What is kept may be anybody's, so that all of it
goes when a tenant is deleted. That it can't be written stops nothing.
"""

import datetime as dt
import os
import time
from pathlib import Path

import msgspec
import structlog

from headgate.contract import LEDGER

QUARANTINE = LEDGER / "quarantine.ndjson"
MOST_BYTES = 8 * 1024 * 1024  # of one file
TEXT_BYTES = 4096  # of one line
KEPT_S = 30 * 86_400.0

log = structlog.get_logger()


class Bad(msgspec.Struct, frozen=True):
    """A line that is none: `size` bytes from byte `at` of its file, of which `text` is the beginning."""

    file: str
    at: int
    size: int
    reason: str
    text: bytes


class Quarantine:
    """`add` writes, `clear` and `prune` remove."""

    def __init__(self, path: Path = QUARANTINE) -> None:
        self._path = path
        self._before = path.with_suffix(f".1{path.suffix}")
        self._fails = False

    def add(self, lines: list[Bad]) -> None:
        """Keep these."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        data = b"".join(msgspec.json.encode({"time": now} | _shown(line)) + b"\n" for line in lines)
        try:
            self._append(data)
        except OSError as error:
            if not self._fails:
                log.warning("spool lines that are none can't be kept", name=self._path.name, error=str(error))
            self._fails = True
        else:
            self._fails = False

    def clear(self) -> int:
        """Remove all of it; how many files there were. Raises OSError."""
        paths = [path for path in (self._path, self._before) if path.exists()]
        for path in paths:
            path.unlink(missing_ok=True)
        return len(paths)

    def prune(self) -> None:
        """Remove what was last added to long ago. Raises OSError."""
        for path in (self._path, self._before):
            if path.exists() and time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        if self._path.exists() and self._path.stat().st_size + len(data) > MOST_BYTES:
            self._path.replace(self._before)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
            file.write(data)


def _shown(line: Bad) -> dict[str, str | int]:
    text = line.text[:TEXT_BYTES].decode(errors="backslashreplace")
    return {"file": line.file, "at": line.at, "size": line.size, "reason": line.reason, "text": text}
