"""Looks for requests in the spool of one Envoy: whether they have an `end` line, and when they began."""

import os
from collections import Counter
from collections.abc import Collection

import msgspec

from headgate.contract import SPOOL
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line, parsed
from ledger.spool.spool_file import SpoolFile, order_of

_CLOCKS_MS = 60_000  # the counters' clock and this machine's may differ


class _Glance(msgspec.Struct, gc=False):
    """What tells whether a line is worth reading."""

    type: str
    request_id: str | None = None


_decoder = msgspec.json.Decoder(_Glance, strict=False)


class SpoolSearch:
    """`go_on` reads all that it has not read yet: in a thread, since that may be much.

    Files that were not written to since `since_ms` are left out.
    """

    def __init__(self, epoch: str, request_ids: Collection[str], since_ms: float) -> None:
        self._epoch = epoch
        self._wanted = frozenset(request_ids)
        self._since_ms = since_ms - _CLOCKS_MS
        self._read: dict[int, int] = {}  # by inode
        self.ended: dict[str, Line] = {}
        self.began_ms: dict[str, int] = {}  # of those that reached a provider
        self.started: dict[str, Line] = {}  # the last `start` line of these
        self.attempts: Counter[str] = Counter()  # how many such lines they have
        self.heads: set[str] = set()
        self.oldest_ms: int | None = None  # when its oldest file begins

    def go_on(self) -> None:
        """Read all whole lines that there are."""
        for path in sorted(SPOOL.glob(f"{self._epoch}*.ndjson"), key=lambda path: order_of(path.name)):
            try:
                file = SpoolFile.open(path)
            except OSError:
                continue  # removed meanwhile, so all in it is done with
            try:
                self._look_through(file)
            finally:
                file.close()

    def covers(self, at_ms: float, counted_heads: Collection[str]) -> bool:
        """Whether lines since this moment are all there; of what was counted once, older files may be gone."""
        if self.heads >= set(counted_heads):
            return True
        return self.oldest_ms is not None and self.oldest_ms <= at_ms

    def _look_through(self, file: SpoolFile) -> None:
        if file.inode not in self._read:
            self.heads.add(file.first_line_digest() or "")
            if len(self.heads) == 1:
                self._take_beginning(file)
        if os.fstat(file.descriptor).st_mtime * 1000 < self._since_ms:
            return
        file.read = self._read.get(file.inode, 0)
        while batch := file.next():
            for text in batch.lines:
                self._look_at(text)
        self._read[file.inode] = file.read

    def _take_beginning(self, file: SpoolFile) -> None:
        first = parsed(file.first_line() or b"")
        self.oldest_ms = began_ms(first) if first else None

    def _look_at(self, text: bytes) -> None:
        try:
            glance = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if glance.request_id is None or glance.request_id not in self._wanted:
            return
        line = parsed(text)
        if line is None:
            return
        if line.type == "end" and line.tenant:  # of a line of nobody's the id is the client's word
            self.ended[glance.request_id] = line
        elif line.type == "start":
            self.started[glance.request_id] = line
            self.attempts[glance.request_id] += 1
            if (began := began_ms(line)) is not None:
                self.began_ms.setdefault(glance.request_id, began)
