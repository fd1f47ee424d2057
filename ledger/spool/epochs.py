"""Which Envoys live: an epoch is one life of one Envoy, named by its spool file.

An epoch counts as dead only with proof: parts.json knows no such living process, and none has the file open. While
neither can be known (no parts.json: the Envoy may be in another container) it counts as alive.
"""

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.contract import ENVOY_ADMIN_SOCKET, PARTS, epoch_of
from headgate.supervise import parts_file
from headgate.supervise.parts_file import PartRecord
from headgate.supervise.process import start_ticks_of


@dataclass(frozen=True, slots=True)
class LivingEnvoy:
    """One that writes into the spool."""

    epoch: str
    pid: int
    admin: Path


def living() -> dict[str, LivingEnvoy] | None:
    """The Envoys of parts.json that run, by epoch; None when there is no such file to ask."""
    try:
        looks = PARTS.stat()
    except OSError:
        return None
    found = {}
    for record in _records((looks.st_dev, looks.st_ino, looks.st_size, looks.st_mtime_ns)).values():
        if record.spool and start_ticks_of(record.pid) == record.start_ticks:
            epoch = epoch_of(record.spool)
            found[epoch] = LivingEnvoy(epoch, record.pid, Path(record.admin or ENVOY_ADMIN_SOCKET))
    return found


@functools.lru_cache(maxsize=1)
def _records(_looks: tuple[int, ...]) -> Mapping[str, PartRecord]:
    """Of a file that looks like that; one that is replaced while it is read looks otherwise by the next time."""
    return parts_file.load()


def is_open_somewhere(paths: Iterable[Path]) -> bool:
    """Whether a process other than this one has one of these files open to write. Looks at all we may see."""
    found = [path.stat() for path in paths if path.exists()]
    wanted, own = {(one.st_dev, one.st_ino) for one in found}, str(os.getpid())
    return bool(wanted) and any(
        _opens(process, wanted) for process in Path("/proc").glob("[0-9]*") if process.name != own
    )


def _opens(process: Path, wanted: set[tuple[int, int]]) -> bool:
    try:
        for descriptor in os.scandir(process / "fd"):
            try:
                found = descriptor.stat()
            except OSError:
                continue
            if (found.st_dev, found.st_ino) in wanted and _writes(process, descriptor.name):
                return True
    except OSError:
        return False  # ended, or another user's
    return False


def _writes(process: Path, descriptor: str) -> bool:
    """Whether it may write: who only reads the spool is no Envoy. As far as anybody can see."""
    try:
        said = dict(line.split(":", 1) for line in (process / "fdinfo" / descriptor).read_text().splitlines())
        return int(said["flags"], 8) & os.O_ACCMODE != os.O_RDONLY
    except (OSError, ValueError, KeyError):
        return True
