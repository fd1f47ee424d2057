"""The state directory: one owner at a time, and secrets in memory where the machine allows.

`enter` makes it the working directory of this process and of every part, so that all paths in `contract`
hold.
"""

import fcntl
import hashlib
import os
import stat
from pathlib import Path

import structlog

from headgate import contract
from headgate.supervise.refusal import Refusal

log = structlog.get_logger()

FOLDERS = (contract.BOOTSTRAP.parent, contract.SPOOL, contract.LEDGER, contract.LOGS, contract.RUN, Path("valkey"))
SECRETS_ON_DISK = Path("secrets-on-disk")


def enter(state: Path) -> int:
    """Create the state directory, lock it and work in it; the lock's descriptor, to be kept open.

    Raises Refusal when another supervisor holds it or it can't be used.
    """
    os.umask(0o077)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(state)
        lock = _lock(state)
        for folder in FOLDERS:
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{state}: {error.strerror}; give another directory with --state") from error
    return lock


def _lock(state: Path) -> int:
    # Python's descriptors are closed on exec: no part can go on holding the lock.
    descriptor = os.open(contract.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Refusal(f"another headgate up (pid {owner}) already runs on {state}") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def link_secrets() -> Path:
    """Make `secrets` a link to a folder only we can read, in memory where the machine allows; that folder."""
    folder = _secrets_folder()
    if contract.SECRETS.is_symlink():
        if contract.SECRETS.readlink() == folder:
            return folder
        contract.SECRETS.unlink()
    try:
        contract.SECRETS.symlink_to(folder)
    except FileExistsError:
        raise Refusal(f"{contract.SECRETS.absolute()}: must be our link to a folder in memory; remove it") from None
    return folder


def remove_secrets() -> None:
    """Remove the link, its folder and every file in it."""
    if not contract.SECRETS.is_symlink():
        return
    folder = contract.SECRETS.readlink()
    if _private(folder):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    contract.SECRETS.unlink()


def memory_folder(use: str = "") -> Path | None:
    """A folder that only we can read, in memory; None where the machine allows none."""
    name = f"headgate-{os.getuid()}-{hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]}"
    name = f"{name}-{use}" if use else name
    for parent in _memory_folders():
        folder = parent / name
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        if _private(folder):
            return folder
        log.warning("folder in memory is not ours alone, trying the next place", path=str(folder))
    return None


def _secrets_folder() -> Path:
    folder = memory_folder()
    if folder:
        return folder
    log.warning("no memory-backed folder: secrets go to the disk", path=str(SECRETS_ON_DISK.absolute()))
    SECRETS_ON_DISK.mkdir(mode=0o700, exist_ok=True)
    return SECRETS_ON_DISK.absolute()


def _memory_folders() -> list[Path]:
    mounts = _mounts_in_memory()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    candidates = [Path(runtime)] if runtime.startswith("/") else []
    candidates.append(Path("/dev/shm"))  # noqa: S108 - the folder inside is checked to be ours
    return [path for path in candidates if any(path == mount or mount in path.parents for mount in mounts)]


def _mounts_in_memory() -> list[Path]:
    """Mount points of tmpfs, but not those that hold another mount's files below `/`."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    fields = [line.split() for line in lines]
    return [Path(where) for _what, where, kind, *_ in fields if kind == "tmpfs" and where != "/"]


def _private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
