"""Folders of uploads below the state directory: one for each, held by a lock that ends with the process.

From the moment its version is in the database, the folder says which one that is. So what a killed process has left
is found, and gone on with (control/adapters/leftovers.py).
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from control.adapters.told import Told
from headgate.adapters.layout import AdapterId
from headgate.contract import UPLOADS

_RECORD = "version.json"
_NOBODYS_AFTER_S = 60.0  # between the making of a folder and its lock there is a moment


class _Record(msgspec.Struct, frozen=True):
    tenant: str
    adapter: str
    version: int
    told: Told = Told()


@dataclass(slots=True)
class Upload:
    """`id` None: no version yet, and nobody misses the folder. `told`: what was said of the version beside its files.

    `close` lets go of it, `remove` takes it away.
    """

    folder: Path
    lock: int
    id: AdapterId | None = None
    told: Told = field(default_factory=Told)

    @property
    def config(self) -> Path:
        """adapter_config.json."""
        return self.folder / "config"

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / "weights"

    def note(self, version: AdapterId, told: Told) -> None:
        """Whose files these are. Raises OSError."""
        record = _Record(version.tenant, version.adapter, version.version, told)
        draft = self.folder / f".{_RECORD}"
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(self.folder / _RECORD)
        self.id, self.told = version, told

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Whoever finds it next may have it."""
        os.close(self.lock)


def begin(state: Path) -> Upload:
    """A new one. Raises OSError."""
    root = state / UPLOADS
    root.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root))
    found = _held(folder)
    if found is None:
        raise OSError("the folder of an upload is somebody else's")
    return found


def left(state: Path) -> Iterator[Upload]:
    """Those that nobody works on, each held until the next is asked for. Raises OSError."""
    root = state / UPLOADS
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        found = _held(folder)
        if found is None:
            continue
        try:
            _read(found)
            if found.id is None and _age_s(folder) > _NOBODYS_AFTER_S:
                found.remove()
            elif found.id is not None:
                yield found
        finally:
            found.close()


def _held(folder: Path) -> Upload | None:
    """None: somebody works on it, or it is gone."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return Upload(folder, lock)


def _read(upload: Upload) -> None:
    with suppress(OSError, ValueError, msgspec.DecodeError):
        said = msgspec.json.decode((upload.folder / _RECORD).read_bytes(), type=_Record)
        upload.id, upload.told = AdapterId(said.tenant, said.adapter, said.version), said.told


def _age_s(folder: Path) -> float:
    with suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime
    return 0.0
