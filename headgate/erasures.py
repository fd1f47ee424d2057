"""What control asks a host to forget, and what the host's parts say of it: small files for each deletion.

Files and no call: either may be away when the other one speaks. A file is there whole or not at all, and is its
owner's alone; `ask` and `forget` are control's, `report` is the ledger's, `report_stored` that of the usage store's
part, which begins when the ledger is done. Nothing is erased here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headgate.contract import ERASURES

_ASKED, _DONE, _STORED = ".json", ".done", ".stored"


class Erasure(msgspec.Struct, frozen=True):
    """A deletion, and whose data is meant."""

    id: str
    tenant: str


class Report(msgspec.Struct, frozen=True):
    """What a host has erased: how many lines, rows and keys, by store; `left` is what a look afterwards has found."""

    id: str
    erased: dict[str, int]
    left: dict[str, int]


def ask(erasure: Erasure, folder: Path = ERASURES) -> None:
    """Have it done. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / f"{erasure.id}{_ASKED}", erasure)


def asked(folder: Path = ERASURES) -> Iterator[Erasure]:
    """All that is to be done or was. A file that is none is left out."""
    for path in sorted(folder.glob(f"*{_ASKED}")):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=Erasure)
        except (OSError, msgspec.DecodeError):
            continue


def report(done: Report, folder: Path = ERASURES) -> None:
    """Say that it is done. Raises OSError."""
    _write(folder / f"{done.id}{_DONE}", done)


def reported(erasure_id: str, folder: Path = ERASURES) -> Report | None:
    """None until it is done."""
    return _read(folder / f"{erasure_id}{_DONE}")


def report_stored(done: Report, folder: Path = ERASURES) -> None:
    """Say that it is done in the usage store, too. Raises OSError."""
    _write(folder / f"{done.id}{_STORED}", done)


def reported_stored(erasure_id: str, folder: Path = ERASURES) -> Report | None:
    """None until it is done there."""
    return _read(folder / f"{erasure_id}{_STORED}")


def forget(erasure_id: str, folder: Path = ERASURES) -> None:
    """The deletion has finished everywhere: the tenant's name goes from here too."""
    for ending in (_ASKED, _DONE, _STORED):
        (folder / f"{erasure_id}{ending}").unlink(missing_ok=True)


def _read(path: Path) -> Report | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, content: msgspec.Struct) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
