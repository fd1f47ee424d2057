"""The configuration's generation: a number that grows when the file says something else, over restarts too.

Spool lines carry it, so that a request is billed by the configuration it was made under. It is stored before the
first request can carry it: no number ever stands for two configurations, whenever the supervisor is killed. Nor when
the file is lost: numbers with prices on disk are taken.
"""

import hashlib
from pathlib import Path

import msgspec
import structlog

from headgate.contract import PRICES
from headgate.prices import priced_generations
from headgate.supervise import files

log = structlog.get_logger()

GENERATION = Path("generation.json")


class Generation(msgspec.Struct, frozen=True):
    """The number and the SHA-256 of the file that it stands for."""

    number: int
    sha256: str


def generation_of(content: bytes) -> Generation:
    """The generation of a gateway.yaml that says this: the last one if it said the same, otherwise the next."""
    sha256 = hashlib.sha256(content).hexdigest()
    last = _load()
    if last and last.sha256 == sha256:
        return last
    return Generation((last.number if last else max(priced_generations(PRICES), default=0)) + 1, sha256)


def store(generation: Generation) -> None:
    """From now on the number is taken."""
    files.write_atomic(GENERATION, msgspec.json.encode(generation))


def _load() -> Generation | None:
    try:
        return msgspec.json.decode(GENERATION.read_bytes(), type=Generation)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("generation.json can't be read: counting starts again", error=str(error))
        return None
