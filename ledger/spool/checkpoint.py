"""How far the follower is, on disk: written whole, synced, and only ever behind what has been done."""

import os
from pathlib import Path

import msgspec
import structlog

from headgate.contract import LEDGER

log = structlog.get_logger()

CHECKPOINT = LEDGER / "checkpoint.json"
ATTEMPTS_CHECKPOINT = LEDGER / "attempts.json"
VERSION = 1


class FileMark(msgspec.Struct, frozen=True):
    """One file: what was settled of it and what was read; `head` tells it from another one with its inode."""

    name: str
    inode: int
    head: str
    settled: int
    read: int
    done_at: float | None = None


class Checkpoint(msgspec.Struct, frozen=True):
    """The whole file. `closed` are the dead Envoys whose reservations were closed."""

    files: list[FileMark] = []
    closed: list[str] = []
    version: int = VERSION


def load(path: Path = CHECKPOINT) -> Checkpoint:
    """The last checkpoint; an empty one when there is none that can be read: then all files are read again."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return Checkpoint()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("checkpoint can't be read: the whole spool is settled again", name=path.name, error=str(error))
        return Checkpoint()
    return found if found.version == VERSION else Checkpoint()


def save(checkpoint: Checkpoint, path: Path = CHECKPOINT, *, sync: bool = True) -> None:
    """Replace the file; afterwards it is on the disk, with `sync`. Raises OSError."""
    draft = path.with_name(f".{path.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(checkpoint))
        if sync:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    if sync:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
