"""One file of Envoy's as it grows, read in whole lines. Follows the file and not its name: rotation renames it."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from headgate.contract import epoch_of

BATCH_BYTES = 256 * 1024
LINE_LIMIT_BYTES = 1024 * 1024  # a line is about one kB; what goes on for longer is none
RECOVERED_ENDING = ".recovered.ndjson"  # of the file with what a dead Envoy could not write
_HEAD_BYTES = 256
_SHOWN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines, and where the file goes on after them."""

    start: int
    end: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class TooLong:
    """What went on for too long to be a line: `size` bytes from byte `at` on, and their beginning."""

    at: int
    size: int
    text: bytes


@dataclass(slots=True, eq=False)
class SpoolFile:
    """`read` is how far it was read, `settled` how far what was read has been dealt with."""

    path: Path
    inode: int
    descriptor: int  # -1 once it is done with
    read: int = 0
    settled: int = 0
    seen: int = 0  # how far an earlier process had read: those lines are settled again, not counted again
    head: str | None = None  # `first_line_digest`, once it is known
    done_at: float | None = None  # when all of a complete file was settled, Unix time
    too_long: list[TooLong] = field(default_factory=list)  # left out since whoever reads it has looked

    @classmethod
    def open(cls, path: Path) -> "SpoolFile":
        """Raises OSError when it is gone."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(path, os.fstat(descriptor).st_ino, descriptor)

    @property
    def epoch(self) -> str:
        """The Envoy that wrote it."""
        return order_of(self.path.name)[0]

    @property
    def rotated(self) -> bool:
        """Whether it has been set aside: `<epoch>.<number>.ndjson`."""
        return self.path.name != f"{self.epoch}{self.path.suffix}"

    @property
    def order(self) -> tuple[str, int, int]:
        """Envoys in the order of their starts, each one's rotated files, the current one, what is recovered."""
        return order_of(self.path.name)

    def size(self) -> int:
        """Bytes that it has now."""
        return os.fstat(self.descriptor).st_size

    def next(self) -> Batch | None:
        """The lines that are complete, a bounded number of them; None when there are none."""
        size = BATCH_BYTES
        while True:
            data = os.pread(self.descriptor, size, self.read)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                break
            if size >= LINE_LIMIT_BYTES:
                self._skip_to_line_end()
                size = BATCH_BYTES
                continue
            size = LINE_LIMIT_BYTES
        if not end:
            return None
        batch = Batch(self.read, self.read + end, data[: end - 1].split(b"\n"))
        self.read = batch.end
        return batch

    def tail(self) -> bytes:
        """What comes after the last whole line: of a dead Envoy it stays so."""
        return os.pread(self.descriptor, LINE_LIMIT_BYTES, self.read)

    def fingerprint(self, length: int | None = None) -> str:
        """What the file begins with, as `bytes:digest`: an inode number alone is used again."""
        data = os.pread(self.descriptor, _HEAD_BYTES if length is None else length, 0)
        return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:16]}"

    def begins_with(self, fingerprint: str) -> bool:
        """Whether it begins as the file did that had this fingerprint."""
        length = fingerprint.partition(":")[0]
        return length.isdecimal() and self.fingerprint(min(int(length), _HEAD_BYTES)) == fingerprint

    def first_line(self) -> bytes | None:
        """The first one, its line end included; None while it is not whole."""
        data = os.pread(self.descriptor, LINE_LIMIT_BYTES, 0)
        end = data.find(b"\n") + 1
        return data[:end] if end else data if len(data) == LINE_LIMIT_BYTES else None

    def first_line_digest(self) -> str | None:
        """Tells it from all other files of its Envoy: the first line has a request's id and a time."""
        if self.head is None and (line := self.first_line()):
            self.head = hashlib.sha256(line).hexdigest()[:32]
        return self.head

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _skip_to_line_end(self) -> None:
        """Leave out a line that is too long to be one, up to its end or to the end of what is there."""
        start, text = self.read, os.pread(self.descriptor, _SHOWN_BYTES, self.read)
        while data := os.pread(self.descriptor, BATCH_BYTES, self.read):
            end = data.find(b"\n") + 1
            self.read += end or len(data)
            if end:
                break
        self.too_long.append(TooLong(start, self.read - start, text))


@lru_cache(maxsize=1024)
def order_of(name: str) -> tuple[str, int, int]:
    """`SpoolFile.order` by the file's name alone; asked several times for each of Envoy's flushes."""
    epoch, rest = epoch_of(name), name.split(".")[1:]
    if is_recovered(name):
        return epoch, 2, 0
    return (epoch, 0, int(rest[0])) if len(rest) > 1 and rest[0].isdecimal() else (epoch, 1, 0)


def is_recovered(name: str) -> bool:
    """Whether the ledger has made this file."""
    return name.endswith(RECOVERED_ENDING)
