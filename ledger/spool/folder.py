"""The spool's folder: which files there are, how far each was read and settled, and what of that is on disk.

Files of one ending each: the spool's own, or those of failed attempts beside them.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import structlog

from headgate.contract import SPOOL
from ledger.settling.usage import FileId
from ledger.spool import checkpoint
from ledger.spool.checkpoint import Checkpoint, FileMark
from ledger.spool.spool_file import SpoolFile

log = structlog.get_logger()


class Folder:
    """All files of an ending by inode, those that are done with among them; `closed` are the epochs that are."""

    def __init__(self, ending: str = ".ndjson", kept: Path = checkpoint.CHECKPOINT, *, precious: bool = True) -> None:
        last = checkpoint.load(kept)
        self._ending, self._kept, self._precious = ending, kept, precious
        self.closed = set(last.closed)
        self.counted: Mapping[FileId, int] | None = None  # by the database; None where nothing is
        self._marks = {mark.inode: mark for mark in last.files}
        self._heads: dict[int, str] = {}
        self._files: dict[int, SpoolFile] = {}
        self._saved: Checkpoint | None = None
        self.unread = 0  # files that are there, and could not be opened

    def rescan(self) -> None:
        """Take up new files, learn new names, forget those that are gone and read to their end."""
        present: dict[int, Path] = {}
        self.unread = 0
        for entry in os.scandir(SPOOL):
            if entry.name.endswith(self._ending) and not entry.name.startswith("."):
                present[entry.inode()] = Path(entry.path)
        for inode, path in present.items():
            file = self._files.get(inode)
            if file:
                file.path = path
            else:
                self._take_up(path)
        for inode in self._files.keys() - present.keys():
            file = self._files[inode]
            if file.descriptor < 0 or file.settled >= file.size():
                self._forget(file)

    def files(self) -> list[SpoolFile]:
        """All of them in order."""
        return sorted(self._files.values(), key=lambda file: file.order)

    def unfinished(self) -> list[SpoolFile]:
        """Those that may still have something to say, in order."""
        return [file for file in self.files() if file.descriptor >= 0]

    def epochs(self) -> Iterator[tuple[str, list[SpoolFile]]]:
        """The files of each epoch."""
        groups: dict[str, list[SpoolFile]] = {}
        for file in self.files():
            groups.setdefault(file.epoch, []).append(file)
        yield from groups.items()

    def behind_bytes(self) -> int:
        """Bytes that are not settled."""
        return sum(max(file.size() - file.settled, 0) for file in self.unfinished())

    def finish(self, file: SpoolFile) -> None:
        """A complete file of which all is settled: it is only kept from now on."""
        self._heads[file.inode] = file.fingerprint()
        file.done_at = time.time()
        file.close()

    def remove(self, file: SpoolFile) -> None:
        """Delete a file that is done with."""
        file.path.unlink(missing_ok=True)
        self._forget(file)

    def replace(self, file: SpoolFile, draft: Path) -> None:
        """Put a draft in the place of a file that is done with: so it stays. Raises OSError."""
        fresh = SpoolFile.open(draft)
        fresh.read = fresh.settled = fresh.size()
        draft.replace(file.path)
        fresh.path, fresh.done_at = file.path, file.done_at
        self._forget(file)
        self._files[fresh.inode] = fresh
        self._heads[fresh.inode] = fresh.fingerprint()
        fresh.first_line_digest()  # it is asked for later
        fresh.close()

    def save(self) -> None:
        """Put the present state on disk, if it is not there. Raises OSError."""
        self.closed &= {file.epoch for file in self._files.values()}
        now = Checkpoint([self._mark(file) for file in self.files()], sorted(self.closed))
        if now != self._saved:
            checkpoint.save(now, self._kept, sync=self._precious)
            self._saved = now

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files.values():
            file.close()

    def _take_up(self, path: Path) -> None:
        try:
            file = SpoolFile.open(path)
        except OSError as error:
            self.unread += 1
            log.warning("spool file can't be read", name=path.name, error=str(error))
            return
        file.first_line_digest()  # also of what is closed here
        mark = self._marks.pop(file.inode, None)
        if mark and mark.settled <= file.size() and file.begins_with(mark.head):
            file.read = file.settled = min(mark.settled, self._counted_of(file, mark.settled))
            file.seen = mark.read
            file.done_at = mark.done_at if file.settled == mark.settled else None
            if file.done_at is not None:
                self._heads[file.inode] = mark.head
                file.close()
        self._files[file.inode] = file

    def _counted_of(self, file: SpoolFile, otherwise: int) -> int:
        """How far the database has counted it; a file without a whole line can't be counted."""
        head = file.first_line_digest()
        return self.counted.get(FileId(file.epoch, head), 0) if self.counted is not None and head else otherwise

    def _forget(self, file: SpoolFile) -> None:
        file.close()
        self._files.pop(file.inode, None)
        self._heads.pop(file.inode, None)

    def _mark(self, file: SpoolFile) -> FileMark:
        head = self._heads.get(file.inode)
        if head is None:
            head = file.fingerprint()
            if head.startswith("256:"):  # it does not change any more
                self._heads[file.inode] = head
        return FileMark(file.path.name, file.inode, head, file.settled, max(file.read, file.seen), file.done_at)


def complete(files: Iterable[SpoolFile], *, alive: bool) -> list[SpoolFile]:
    """Which of an epoch's unfinished files will never grow: a dead one's all, a living one's all before the last."""
    listed = list(files)
    return [file for file in listed[: -1 if alive else None] if file.descriptor >= 0]
