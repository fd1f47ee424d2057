"""When keys were last used: from the ledger, which reads it off the spool, to control, which has the database.

One file, always whole: the ledger adds to what is there, control takes it away. Whoever is killed loses a few seconds
of uses at most; one that is told twice changes nothing.
"""

import datetime as dt
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from headgate.contract import KEY_USES

Uses = Mapping[tuple[str, str], dt.datetime]  # by tenant and key id
_Rows = list[tuple[str, str, dt.datetime]]


def add_uses(state: Path, uses: Uses) -> None:
    """More of them, the latest of each key. Raises OSError."""
    path = state / KEY_USES
    known = dict(_read(path))
    for key, at in uses.items():
        known[key] = max(at, known.get(key, at))
    rows: _Rows = [(tenant, key_id, at) for (tenant, key_id), at in known.items()]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(rows))
    draft.replace(path)


def take_uses(state: Path) -> Uses:
    """All that there are; nobody gets them again. Raises OSError."""
    path = state / KEY_USES
    taken = path.with_name(f".{path.name}.taken")
    uses = dict(_read(taken))  # of a control that was killed
    with suppress(FileNotFoundError):
        path.replace(taken)
    for key, at in _read(taken).items():
        uses[key] = max(at, uses.get(key, at))
    taken.unlink(missing_ok=True)
    return uses


def _read(path: Path) -> Uses:
    """None from what is no such file, or was damaged by a disk."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=_Rows)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return {(tenant, key_id): at for tenant, key_id, at in rows if at.tzinfo}
