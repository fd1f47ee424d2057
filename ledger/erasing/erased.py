"""Which tenants are deleted, for as long as lines of theirs may still come: requests that began before may run on.

Such lines are taken for those of the deletion, under its id and without key, user or trace. A tenant is known here by
a digest alone; one that has its name later is another: of it are all requests that began after the erasure was done.
"""

import os
import time
from hashlib import sha256
from pathlib import Path

import msgspec
import structlog

from headgate.contract import LEDGER
from headgate.erasures import Erasure
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line

ERASED = LEDGER / "erased.json"
KEPT_MS = 48 * 3_600_000  # longer than any request runs, and its line's file is in use

log = structlog.get_logger()

_NOBODYS = {"key_id": None, "user": None, "trace_id": None}


class Mark(msgspec.Struct, frozen=True):
    """A deletion. `digest` is of its id and the tenant; `until_ms`: when it was done, Unix time."""

    id: str
    digest: str
    until_ms: int | None = None


class Erased:
    """`start` and `finish` raise OSError where the file can't be written."""

    def __init__(self, path: Path = ERASED) -> None:
        self._path = path
        self._marks: dict[str, Mark] = {}
        self._known: dict[str, tuple[Mark, ...]] = {}  # by tenant
        try:
            self._marks = {mark.id: mark for mark in msgspec.json.decode(path.read_bytes(), type=list[Mark])}
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.error("late lines of deleted tenants will count as theirs", name=path.name, error=str(error))  # noqa: TRY400

    @property
    def ids(self) -> frozenset[str]:
        """The deletions that lines are looked through for."""
        before = _before()
        return frozenset(one.id for one in self._marks.values() if one.until_ms is None or one.until_ms > before)

    def start(self, erasure: Erasure) -> None:
        """From now on all lines of the tenant are meant."""
        if erasure.id not in self._marks:
            self._keep(Mark(erasure.id, _digest(erasure.id, erasure.tenant)))

    def finish(self, erasure_id: str) -> None:
        """From now on only lines of requests that had begun by now."""
        mark = self._marks[erasure_id]
        if mark.until_ms is None:
            self._keep(msgspec.structs.replace(mark, until_ms=time.time_ns() // 1_000_000))

    def renamed(self, line: Line) -> Line:
        """The line, or that of the deletion."""
        name = self.name_of(line)
        return msgspec.structs.replace(line, tenant=name, **_NOBODYS) if name else line

    def scrubbed(self, text: bytes) -> bytes:
        """The same for a line as it stands in a file, which stays byte by byte if it is not meant."""
        if not self._marks:
            return text
        try:
            line = msgspec.json.decode(text, type=Line, strict=False)
            name = self.name_of(line)
            return msgspec.json.encode(msgspec.json.decode(text) | {"tenant": name} | _NOBODYS) if name else text
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return text

    def name_of(self, line: Line) -> str | None:
        """The id of the deletion whose tenant the line is of."""
        if line.tenant is None or not self._marks:
            return None
        began = began_ms(line) or 0
        for mark in self._marks_of(line.tenant):
            if mark.until_ms is None or began <= mark.until_ms:
                return mark.id
        return None

    def _marks_of(self, tenant: str) -> tuple[Mark, ...]:
        found = self._known.get(tenant)
        if found is None:
            if len(self._known) > 10_000:
                self._known.clear()
            meant = [mark for mark in self._marks.values() if mark.digest == _digest(mark.id, tenant)]
            found = self._known[tenant] = tuple(meant)
        return found

    def _keep(self, mark: Mark) -> None:
        before = _before()
        kept = {one.id: one for one in self._marks.values() if one.until_ms is None or one.until_ms > before}
        kept[mark.id] = mark
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(list(kept.values())))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        self._marks, self._known = kept, {}


def _before() -> int:
    """Deletions that were done by then, Unix ms, are of no interest any more."""
    return time.time_ns() // 1_000_000 - KEPT_MS


def _digest(erasure_id: str, tenant: str) -> str:
    return sha256(f"{erasure_id}:{tenant}".encode()).hexdigest()
