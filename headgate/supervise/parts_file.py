"""`parts.json`: which processes are ours, for a supervisor that comes after one that was killed.

A record holds only if its boot id, pid and start time all match; a broken or foreign file counts as empty.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from headgate import contract
from headgate.supervise import files
from headgate.supervise.process import Identity

log = structlog.get_logger()

VERSION = 1
RETIRED = "envoy-retired-"  # + pid: an Envoy that only finishes its streams
RETIRED_WORKER = "filters-retired-"  # + pid: a filter worker that does


class PartRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process; an Envoy with the addresses it listens on and the files of its life (`envoy_life`).

    `draining`: a replica of an engine that is to get no more requests, because it will be replaced.
    """

    pid: int
    start_ticks: int
    digest: str
    port: int | None = None
    gpus: tuple[int, ...] = ()
    spool: str | None = None
    addresses: tuple[str, ...] = ()
    admin: str | None = None
    hot: str | None = None
    draining: bool = False

    @property
    def identity(self) -> Identity:
        """What `Process.find` looks for."""
        return Identity(self.pid, self.start_ticks)


class PartsFile(msgspec.Struct, frozen=True):
    """The whole file, by part name. `restarts` has those that are down just now, too."""

    boot_id: str
    parts: dict[str, PartRecord]
    version: int = VERSION
    restarts: dict[str, int] = {}


def load() -> dict[str, PartRecord]:
    """The records of this boot; empty when there are none."""
    found = _read()
    return found.parts if found else {}


def restarts() -> dict[str, int]:
    """How often each part was restarted, as far as an earlier supervisor of this boot could not end in order."""
    found = _read()
    return found.restarts if found else {}


def _read() -> PartsFile | None:
    try:
        found = msgspec.json.decode(contract.PARTS.read_bytes(), type=PartsFile)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("parts.json can't be read and is ignored", error=str(error))
        return None
    return found if found.version == VERSION and found.boot_id == boot_id() else None


def save(parts: Mapping[str, PartRecord], restarts: Mapping[str, int]) -> None:
    """Write the records, atomically, 0600."""
    found = PartsFile(boot_id(), dict(parts), restarts=dict(restarts))
    content = msgspec.json.format(msgspec.json.encode(found), indent=1)
    files.write_atomic(contract.PARTS, content)


def boot_id() -> str:
    """Start times count from the boot, so they mean nothing after the next one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def digest_of(command: Sequence[str], *configuration: str) -> str:
    """Tells whether a running part is what we would start now: its command, program and configuration."""
    program = Path(shutil.which(command[0]) or command[0])
    try:
        found = program.stat()
        version = [str(program), found.st_size, found.st_mtime_ns]
    except FileNotFoundError:
        version = [str(program)]
    return hashlib.sha256(json.dumps([list(command), version, list(configuration)]).encode()).hexdigest()
