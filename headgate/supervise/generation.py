"""The configuration's generation: a number that grows when the file says something else, over restarts too.

Spool lines carry it, so that a request is billed by the configuration it was made under.
"""

import hashlib
from pathlib import Path

import msgspec
import structlog

from headgate.supervise import files

log = structlog.get_logger()

GENERATION = Path("generation.json")


class Generation(msgspec.Struct, frozen=True):
    """The number and the SHA-256 of the file that it stands for."""

    number: int
    sha256: str


def generation_of(config: Path) -> int:
    """The generation of the file at `config`, counted up and stored if it is a new one."""
    sha256 = hashlib.sha256(config.read_bytes()).hexdigest()
    last = _load()
    if last and last.sha256 == sha256:
        return last.number
    current = Generation(last.number + 1 if last else 1, sha256)
    files.write_atomic(GENERATION, msgspec.json.encode(current))
    return current.number


def _load() -> Generation | None:
    try:
        return msgspec.json.decode(GENERATION.read_bytes(), type=Generation)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("generation.json can't be read: counting starts again", error=str(error))
        return None
