"""What a store of objects does, whichever it is, and what both kinds share.

An object is whole or not there: readers see the old one or the new one, never a part, whatever process is killed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headgate.objects.failures import TooLarge

CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """What was stored; `sha256` in hex."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that is there; `modified_s` in Unix time."""

    name: str
    size_bytes: int
    modified_s: float


class ObjectStore(Protocol):
    """All raise ObjectsError, and ValueError for a bad name. Safe in several threads and processes at once."""

    def put(self, name: str, chunks: Iterable[bytes], most_bytes: int) -> Written:
        """Store what `chunks` gives, in the place of what was there. TooLarge if that is more than `most_bytes`.

        What `chunks` raises passes through. Then, as after any failure, the name has what it had before.
        """

    def reading(self, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """The object's bytes, in pieces of any size. NoSuchObject on entering."""

    def head(self, name: str) -> Listed | None:
        """None where there is nothing."""

    def listed(self, prefix: str) -> Iterator[Listed]:
        """All whose names begin with `prefix`: "" or parts with a slash behind. In no particular order."""

    def delete(self, name: str) -> None:
        """What is not there is deleted."""

    def free_bytes(self) -> int:
        """What is left of the disk that `put` writes to: the store's, or the one where its bytes wait."""


class Counted:
    """Passes chunks on and counts them: size, SHA-256, and TooLarge past `most_bytes`."""

    def __init__(self, chunks: Iterable[bytes], most_bytes: int) -> None:
        self._chunks, self._most = chunks, most_bytes
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > self._most:
                raise TooLarge(f"more than {self._most} bytes")
            self._digest.update(chunk)
            yield chunk

    @property
    def written(self) -> Written:
        """Of all that has passed."""
        return Written(self.size_bytes, self._digest.hexdigest())

    @property
    def sha256(self) -> bytes:
        """The digest so far."""
        return self._digest.digest()


def read_small(store: ObjectStore, name: str, most_bytes: int) -> bytes:
    """A whole object of at most `most_bytes`. Raises NoSuchObject, TooLarge and what the store raises."""
    with store.reading(name) as chunks:
        return b"".join(Counted(chunks, most_bytes))


def free_bytes_of(folder: Path) -> int:
    """What its disk has left; of one that is not made yet, that of the folder where it would be. Raises OSError."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
