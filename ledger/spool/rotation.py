"""Spool files that are full are set aside and, once everything in them is settled and old enough, removed.

Setting aside is a rename: Envoy goes on writing into the renamed file until it has done what `/reopen_logs` asks,
which is to close it and then to open a new one. So a rotated file is complete as soon as its Envoy has a new one, and
no line is lost or written twice. If anything stops in between, the next look finds a living Envoy without a file of
the usual name, and asks again.
"""

import time
from collections.abc import Iterable, Sequence

import aiohttp
import structlog

from headgate.supervise.envoy_admin import EnvoyAdmin
from ledger.spool.epochs import LivingEnvoy
from ledger.spool.spool_file import SpoolFile

log = structlog.get_logger()

ROTATE_AFTER_S = 3600.0  # so that `keep` means what it says, also where little happens


class Rotation:
    """Sets aside what is full of the Envoys that live; knows since when their files are in use."""

    def __init__(self) -> None:
        self._opened: dict[int, float] = {}  # by inode, Unix time
        self._wanted: set[int] = set()  # inodes of files that are to be set aside, however small

    def want(self, files: Iterable[SpoolFile]) -> None:
        """Have these set aside at the next look, where they are in use and not empty."""
        self._wanted = {file.inode for file in files if not file.rotated}

    async def keep_small(self, envoy: LivingEnvoy, files: Sequence[SpoolFile], rotate_bytes: int) -> None:
        """`files` are all of this Envoy's, in order."""
        current = files[-1]
        if current.rotated:
            await reopen(envoy)  # an earlier attempt was broken off
            return
        opened = self._opened.setdefault(current.inode, time.time())
        if set_aside(current, files, 0 if current.inode in self._wanted else rotate_bytes, opened):
            self._opened.pop(current.inode)
            self._wanted.discard(current.inode)
            await reopen(envoy)


def set_aside(file: SpoolFile, siblings: Iterable[SpoolFile], rotate_bytes: int, opened: float) -> bool:
    """Rename a living Envoy's current file if it is large or, being in use since `opened`, old. True when it was."""
    size = file.size()
    if not size or (size < rotate_bytes and time.time() - opened < ROTATE_AFTER_S):
        return False
    last = max((sibling.order[2] for sibling in siblings if sibling.epoch == file.epoch), default=0)
    name = file.path.with_name(f"{file.epoch}.{last + 1:06d}{file.path.suffix}")
    if name.exists():  # not one that we know: a rename would destroy it
        log.error("spool file is not rotated: there is one of that name", name=name.name)
        return False
    try:
        file.path.rename(name)
    except OSError as error:
        log.warning("spool file could not be rotated", name=file.path.name, error=str(error))
        return False
    file.path = name
    log.info("spool file rotated", name=name.name, size_bytes=size)
    return True


async def reopen(envoy: LivingEnvoy) -> None:
    """Ask an Envoy for a new file. It does so within its flush interval; whether it did shows in the folder."""
    try:
        await EnvoyAdmin(envoy.admin).reopen_logs()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("envoy was not asked to reopen its spool", pid=envoy.pid, error=type(error).__name__)


def may_go(file: SpoolFile, keep_s: float) -> bool:
    """Whether a file whose contents are settled has been kept for long enough."""
    return file.done_at is not None and time.time() - file.done_at >= keep_s
