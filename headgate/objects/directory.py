"""Objects as files below a directory of this host's, or of a network file system that keeps to POSIX.

Files are 0600, folders 0700. A file is written as a draft beside the objects, brought to the disk and renamed.
"""

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from headgate.objects.failures import NoSuchObject, StoreAway, StoreFull, StoreRefuses
from headgate.objects.names import checked_name, checked_prefix, is_part
from headgate.objects.store import CHUNK_BYTES, Counted, Listed, Written, free_bytes_of

_DRAFTS = ".drafts"  # no object is called so
_DRAFT_LIVES_S = 86_400  # nobody writes one for a day: its writer was killed
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {
    errno.EACCES,
    errno.EEXIST,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOTEMPTY,
}
_TRIES = 20  # a folder may go, as empty, between its making and the rename


class DirectoryStore:
    """Takes away what killed writers have left. What is first written makes the directory. Raises ObjectsError.

    Until then nothing is made in it: it may be where something else is to be mounted.
    """

    def __init__(self, root: Path) -> None:
        with _failures("the directory of objects"):
            self._root = root.resolve()
            self._drafts = self._root / _DRAFTS
            self._was_there = self._drafts.is_dir()
            if self._was_there:
                _sweep(self._drafts)

    def put(self, name: str, chunks: Iterable[bytes], most_bytes: int) -> Written:
        """As ObjectStore says."""
        target, counted = self._path(name), Counted(chunks, most_bytes)
        draft = self._drafts / secrets.token_hex(16)
        try:
            with self._failures(name):
                self._make_drafts()
                file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", 0)
            with file:
                for chunk in counted:
                    with self._failures(name):
                        _write_all(file, chunk)
                with self._failures(name):
                    os.fsync(file.fileno())
            with self._failures(name):
                self._place(draft, target)
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                draft.unlink()
        return counted.written

    @contextmanager
    def reading(self, name: str) -> Iterator[Iterator[bytes]]:
        """As ObjectStore says. What is deleted or replaced meanwhile is read to its end."""
        path = self._path(name)
        with self._failures(name):
            self._check_place(path)
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", 0)
        with file:
            yield self._chunks_of(file, name)

    def head(self, name: str) -> Listed | None:
        """As ObjectStore says."""
        path = self._path(name)
        try:
            with self._failures(name):
                self._check_place(path)
                found = path.stat(follow_symlinks=False)
        except NoSuchObject:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Listed(name, found.st_size, found.st_mtime)

    def listed(self, prefix: str) -> Iterator[Listed]:
        """As ObjectStore says. Links are no objects."""
        folder = self._root / checked_prefix(prefix)
        with self._failures(prefix):
            self._is_there()
            self._check_place(folder / "any")
        for base, folders, files in os.walk(folder, onerror=_raise_unless_gone):
            folders[:] = [name for name in folders if is_part(name)]
            for file in files:
                path = Path(base) / file
                if is_part(file) and (listed := self.head(self._name(path))):
                    yield listed

    def delete(self, name: str) -> None:
        """As ObjectStore says; folders that are empty then go, too."""
        path = self._path(name)
        try:
            with self._failures(name):
                self._check_place(path)
                path.unlink()
                _sync(path.parent)
        except NoSuchObject:
            return
        for folder in path.parents:
            if folder == self._root:
                return
            try:
                folder.rmdir()
            except OSError:
                return  # not empty, or somebody else was quicker

    def free_bytes(self) -> int:
        """As ObjectStore says."""
        with self._failures("the directory of objects"):
            return free_bytes_of(self._root)

    def _path(self, name: str) -> Path:
        return self._root / checked_name(name)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _check_place(self, path: Path) -> None:
        """Raises OSError where a link on the way leads elsewhere."""
        if path.parent.resolve() != path.parent:
            raise OSError(errno.ELOOP, "a link leads out of the directory of objects")

    def _place(self, draft: Path, target: Path) -> None:
        for left in reversed(range(_TRIES)):
            try:
                made = self._make_folders(target.parent)
                self._check_place(target)
                draft.replace(target)
            except FileNotFoundError:
                if not left:
                    raise StoreAway(f"{target.name}: its folder goes away again and again") from None
            else:
                for folder in {target.parent, *made}:
                    _sync(folder)
                return

    def _make_folders(self, folder: Path) -> list[Path]:
        """Those that were missing; returns the folders in which one was made."""
        made = []
        while not folder.is_dir() and folder != self._root:
            made.append(folder)
            folder = folder.parent
        for missing in reversed(made):
            missing.mkdir(mode=0o700, exist_ok=True)
        return [folder.parent for folder in made]

    def _chunks_of(self, file: BinaryIO, name: str) -> Iterator[bytes]:
        while True:
            with self._failures(name):
                chunk = file.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    def _make_drafts(self) -> None:
        """Not where they were before: raises FileNotFoundError."""
        if not self._is_there():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._drafts.mkdir(mode=0o700, exist_ok=True)
            self._was_there = True

    def _is_there(self) -> bool:
        """Whether something was ever written. Raises FileNotFoundError where the drafts' folder has gone since."""
        try:
            self._drafts.stat()
        except FileNotFoundError:
            if self._was_there:
                raise
            return False
        self._was_there = True
        return True

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        """A directory without the drafts' folder is not the one that was seen: not mounted now, or removed."""
        try:
            with _failures(name):
                yield
        except NoSuchObject:
            if self._was_there and not self._drafts.is_dir():
                raise StoreAway(f"{name}: the directory of objects is gone, or is not mounted") from None
            raise


@contextmanager
def _failures(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NoSuchObject(f"{name}: there is no such object") from None
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreRefuses if error.errno in _REFUSED else StoreAway
        raise kind(f"{name}: {error.strerror}") from None


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    """An unbuffered file may take a part."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _sync(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # deleted meanwhile
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(drafts: Path) -> None:
    for draft in drafts.iterdir():
        try:
            if time.time() - draft.stat().st_mtime > _DRAFT_LIVES_S:
                draft.unlink()
        except FileNotFoundError:
            continue


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise StoreAway(f"the directory of objects: {error.strerror}") from None
