"""How far each reader of the journal is: `ledger/journal-<consumer>.json`, the consumer's own, whole and on the disk.

The ledger removes what all consumers are done with, so a number is only written once everything up to it is kept for
good. It goes with the journal that it is of: with another one's it says nothing.
"""

import os
from pathlib import Path

import msgspec
import structlog

from headgate.contract import LEDGER

STORE, EVENTS = "store", "events"  # the consumers that there may be

log = structlog.get_logger()


class Progress(msgspec.Struct, frozen=True):
    """Done with everything up to `seq` of the journal of that `identity`.

    `anew_ms`: when another one's took its place (Unix ms): rows that ended before may have been in that one, too.
    """

    identity: str = ""
    seq: int = 0
    anew_ms: int = 0

    def of(self, identity: str) -> int:
        """How far that journal is read; 0 of another one's."""
        return self.seq if self.identity == identity else 0


def progress_file(consumer: str, folder: Path = LEDGER) -> Path:
    """Where it is."""
    return folder / f"journal-{consumer}.json"


def read_progress(consumer: str, folder: Path = LEDGER) -> Progress:
    """The last that was written; nothing is done with where there is none, or none that can be read."""
    path = progress_file(consumer, folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return Progress()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("how far the journal is read is not known", name=path.name, error=str(error))
        return Progress()


def write_progress(consumer: str, progress: Progress, folder: Path = LEDGER) -> None:
    """Replace it whole; it is on the disk afterwards. Raises OSError."""
    path = progress_file(consumer, folder)
    draft = path.with_name(f".{path.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(progress))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
