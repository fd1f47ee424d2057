"""Which files the two sides know each other by, and who may call. Loads nothing: what reads them does."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its key, and the CAs that the other side's comes from; PEM."""

    cert: Path
    key: Path
    ca: Path

    def looks(self) -> tuple[tuple[int, int, int], ...]:
        """Differs when a file has changed. Raises OSError."""
        found = [path.stat() for path in (self.cert, self.key, self.ca)]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)


@dataclass(frozen=True, slots=True)
class Network:
    """A worker's: its files, and the callers that it takes, by names as `auth.clients` has them."""

    files: TlsFiles
    clients: tuple[str, ...]
