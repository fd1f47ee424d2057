"""The last invoice that this host has seen, in a file beside the database: so that one that was put back is noticed.

A copy of the database knows nothing of what was issued after it, and would give its numbers again. What was seen and
is there no more stops every further one, until somebody has said that it is lost, and numbers go on under another
prefix.
"""

import os
import threading
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

from control.store.invoices import Issued, last_issued, was_issued
from control.store.lost_invoices import is_lost, put_lost
from control.store.store import Store
from control.store.unit import Reader, Unit
from headgate.contract import LAST_INVOICE

log = structlog.get_logger()


class Seen(msgspec.Struct, frozen=True):
    """`sha256` is of its document, in hex."""

    seq: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    number: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]

    @property
    def prefix(self) -> str:
        """What its number begins with."""
        return self.number.removesuffix(f"{self.seq:06d}")


class InvoicesWentBack(Exception):  # noqa: N818 - an answer to the caller
    """The database lacks an invoice that was issued. The text says which."""


class SeenInvoices:
    """Several threads may use it."""

    def __init__(self, path: Path = LAST_INVOICE) -> None:
        self._path = path
        self._lock = threading.Lock()

    def check(self, reader: Reader, seq: int, prefix: str) -> None:
        """Before `seq` is given with that prefix. Raises InvoicesWentBack."""
        if is_lost(reader, prefix, seq):
            text = f"{prefix}{seq:06d} was given before the database was put back: set another billing.prefix"
            raise InvoicesWentBack(text)
        if missing := self.missing(reader):
            raise InvoicesWentBack(
                f"the database lacks {missing.number}, which was issued: it was put back from a copy, or is another"
                " one. Put a newer copy back; or set another billing.prefix, and say that its invoices are lost"
            )

    def missing(self, reader: Reader) -> Seen | None:
        """What was seen and is neither there nor known to be lost. Raises InvoicesWentBack for an unreadable file."""
        seen = self._read()
        if seen is None or was_issued(reader, seen.seq, bytes.fromhex(seen.sha256)):
            return None
        return None if is_lost(reader, seen.prefix, seen.seq) else seen

    def accept(self, unit: Unit, seen: Seen, reason: str) -> None:
        """It, and what was issued before it, is lost. Recorded."""
        put_lost(unit, seen.prefix, seen.seq, {"number": seen.number, "sha256": seen.sha256, "reason": reason})

    def note(self, store: Store) -> None:
        """The last one that there is, if nothing is missing and the file can be read. Raises StoreError, OSError."""
        with self._lock:
            try:
                with store.read() as reader:
                    last = last_issued(reader)
                    if last is None or self._is_noted(last) or self.missing(reader):
                        return
            except InvoicesWentBack as unreadable:
                log.error("no invoices are issued", reason=str(unreadable))  # noqa: TRY400
                return
            self._write(_seen(last))

    def _is_noted(self, last: Issued) -> bool:
        return self._read() == _seen(last)

    def _read(self) -> Seen | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Seen)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # ValueError: msgspec's, and of bytes that are no text
            raise InvoicesWentBack(
                f"{self._path} of this host can't be read, which says which invoice was the last ({error}): put it"
                " right, or a copy back; or, where the database has the last invoice that there is, move it away"
            ) from None

    def _write(self, seen: Seen) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(seen))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        _sync(self._path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seen(issued: Issued) -> Seen:
    return Seen(issued.seq, issued.number, issued.document_digest.hex())
