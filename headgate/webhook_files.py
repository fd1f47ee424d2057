"""What control has to tell the receiver of webhooks, handed to the ledger of this host: one small file per event.

Files and no call: either may be away when the other one speaks. A file is there whole or not at all, and is its
owner's alone; `leave` is control's, the rest is the ledger's. The same event may be left twice, under the same id.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from headgate.contract import WEBHOOKS

_ENDING = ".json"
_ID = re.compile(r"msg_[0-9a-f]{32}")


def leave(event_id: str, body: bytes, folder: Path = WEBHOOKS) -> None:
    """On the disk when this returns. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{event_id}{_ENDING}"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def left(folder: Path = WEBHOOKS) -> Iterator[tuple[str, bytes]]:
    """Ids and bodies, in the order of the ids. What is no event's file is passed over. Raises OSError."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(f"msg_*{_ENDING}")):
        if _ID.fullmatch(path.stem):
            yield path.stem, path.read_bytes()


def taken(event_id: str, folder: Path = WEBHOOKS) -> None:
    """It is kept elsewhere by now. Raises OSError."""
    (folder / f"{event_id}{_ENDING}").unlink(missing_ok=True)
