"""The files in which the parts' processes count, and what becomes of them when a process ends.

prometheus_client gives every process files of its own. A dead process's gauges are gone with it; what it counted must
stay, or rates would be wrong: it is added to one file for all the dead, so that restarts do not leave files behind.
"""

import json
import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from headgate import contract
from headgate.supervise import state

log = structlog.get_logger()

_HEAD_BYTES = 8  # a file that has less was made this moment
_ROOM_BYTES = 2**20
_DEAD = "dead"
_lock = threading.Lock()  # merging runs in a thread, while a part that ends may be buried


def environment() -> dict[str, str]:
    """What makes a part count into the folder."""
    return {"PROMETHEUS_MULTIPROC_DIR": str(contract.METRICS.absolute())}


def prepare() -> None:
    """Have an empty folder, apart from the files of processes that were taken over.

    In memory: a full disk under a mapped file would be a SIGBUS for the part that counts.
    """
    folder = state.memory_folder("metrics")
    if folder is None:
        contract.METRICS.mkdir(mode=0o700, exist_ok=True)
    elif not contract.METRICS.is_symlink() or contract.METRICS.readlink() != folder:
        remove()
        contract.METRICS.symlink_to(folder)
    for file in contract.METRICS.glob("*.db"):
        pid = file.stem.rpartition("_")[2]
        if not pid.isdecimal() or not _is_ours(int(pid)):
            file.unlink()


def remove() -> None:
    """Leave nothing behind."""
    for file in contract.METRICS.glob("*.db"):
        file.unlink()
    if contract.METRICS.is_symlink():
        folder = contract.METRICS.readlink()
        if folder.is_dir():
            folder.rmdir()
        contract.METRICS.unlink()
    elif contract.METRICS.is_dir():
        contract.METRICS.rmdir()


def bury_dead() -> None:
    """Take in what ended processes have counted; left for the next time while the files are being read."""
    if not _has_room() or not _lock.acquire(blocking=False):
        return
    try:
        for file in contract.METRICS.glob("*.db"):
            kind, _, pid = file.stem.rpartition("_")
            if pid.isdecimal() and not _is_ours(int(pid)):
                if not kind.startswith("gauge_") and file.stat().st_size >= _HEAD_BYTES:
                    _add(file, contract.METRICS / f"{kind}_{_DEAD}.db")
                file.unlink()
    finally:
        _lock.release()


def merged() -> Iterable[Metric]:
    """All parts' metrics as if one process had counted."""
    bury_dead()
    with _lock:
        files = [str(file) for file in contract.METRICS.glob("*.db") if file.stat().st_size >= _HEAD_BYTES]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return metrics


def _add(source: Path, target: Path) -> None:
    """A crash between this and removing the source would count it twice: a supervisor that dies starts over at 0."""
    try:
        found = list(MmapedDict.read_all_values_from_file(str(source)))  # type: ignore[no-untyped-call]
        for key, *_ in found:
            json.loads(key)
    except (RuntimeError, ValueError, struct.error) as error:  # its process was killed in the middle of a write
        log.warning("a dead part's metrics are lost", file=source.name, error=str(error))
        return
    total = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, *_ in found:
        total.write_value(key, total.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
    total.close()  # type: ignore[no-untyped-call]


def _has_room() -> bool:
    """Writing to a mapped file without room for it would end us."""
    if not contract.METRICS.is_dir():
        return False
    disk = os.statvfs(contract.METRICS)
    return disk.f_bavail * disk.f_frsize >= _ROOM_BYTES


def _is_ours(pid: int) -> bool:
    """Every part works in the state directory, as we do; a pid that was given away is most likely elsewhere."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == Path.cwd() and pid != os.getpid()
    except OSError:
        return False
