"""What a worker on another host is to have, as this host's files say now, in the order in which it may be used.

Tables come last: what they name is there before. A file that another one takes the name of is handed over anew; the
directory's log goes on where it ended. Reads files, and remembers what one worker has got.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from headgate.contract import DIRECTORY, SNAPSHOT
from headgate.directory.file import FILE
from headgate.issuers import IssuerRow, keys_file, wanted_file
from headgate.remote.messages import PIECE_BYTES, Add, Put
from headgate.snapshot import AuthRow

_ROWS = DIRECTORY / FILE
_Looks = tuple[int, int, int, int]


class _Tables(msgspec.Struct, frozen=True):
    """Of the tables, what tells which other files there are."""

    generation: int
    auth: AuthRow = AuthRow()
    issuers: tuple[IssuerRow, ...] = ()


class Holdings:
    """One worker's, for as long as it is connected. The working directory is the state directory."""

    def __init__(self) -> None:
        self._got: dict[Path, _Looks] = {}
        self._tables = _Tables(0)
        self._held: Callable[[], object] = (
            bool  # lets go of the directory that it has got: open, no other has its inode
        )

    @property
    def generation(self) -> int:
        """Of the tables that it has got."""
        return self._tables.generation

    @property
    def wanted(self) -> set[str]:
        """The files by which its tables' issuers may be asked for their keys."""
        return {str(wanted_file(row)) for row in self._tables.issuers}

    def news(self) -> Iterator[Put | Add]:
        """What it has not got yet. Raises OSError, and msgspec.DecodeError for tables that are none."""
        looks, content = _looks(SNAPSHOT), b""
        tables, are_new = self._tables, looks != self._got.get(SNAPSHOT)
        if looks and are_new:
            content = SNAPSHOT.read_bytes()
            tables = msgspec.json.decode(content, type=_Tables)
        for name in (tables.auth.pepper, tables.auth.service_key, *tables.auth.previous_peppers):
            yield from self._whole(Path(name))
        for row in tables.issuers:
            yield from self._whole(keys_file(row))
        yield from self._rows()
        if looks and are_new:
            yield from _pieces(SNAPSHOT, content)
            self._got[SNAPSHOT], self._tables = looks, tables

    def _whole(self, path: Path) -> Iterator[Put]:
        """What is not there changes nothing: the other side keeps what it had, as a worker here does."""
        looks = _looks(path)
        if looks and looks != self._got.get(path):
            yield from _pieces(path, path.read_bytes())
            self._got[path] = looks

    def _rows(self) -> Iterator[Put | Add]:
        try:
            descriptor = os.open(_ROWS, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        held = weakref.finalize(self, os.close, descriptor)
        try:
            looks, before = _of(os.fstat(descriptor)), self._got.get(_ROWS)
            is_same = before is not None and before[:2] == looks[:2] and before[2] <= looks[2]
            at = before[2] if before and is_same else 0
            while at < looks[2]:
                piece = _read(descriptor, at, looks[2])
                at += len(piece)
                yield Add(str(_ROWS), piece) if is_same else Put(str(_ROWS), piece, at == looks[2])
        except BaseException:
            held()
            raise
        self._got[_ROWS] = looks
        self._held()
        self._held = held


def _read(descriptor: int, at: int, end: int) -> bytes:
    piece = os.pread(descriptor, min(PIECE_BYTES, end - at), at)
    if not piece:
        raise OSError("the directory has become shorter")  # nobody does that to it
    return piece


def _pieces(path: Path, content: bytes) -> Iterator[Put]:
    starts = range(0, max(len(content), 1), PIECE_BYTES)
    for at in starts:
        yield Put(str(path), content[at : at + PIECE_BYTES], at == starts[-1])


def _looks(path: Path) -> _Looks | None:
    try:
        return _of(path.stat())
    except FileNotFoundError:
        return None


def _of(found: os.stat_result) -> _Looks:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
