"""The directory's file, open for reading: what is complete and good in it, from where the last look ended.

It only grows, until another one takes its name; the old one stays open here until it is read. What raises
Damaged or is not complete stays where it is: the next look begins with it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from headgate.directory import frames
from headgate.directory.frames import BEFORE, END, Batch, Damaged, Head, Rows
from headgate.directory.rows import Change, Mark

FILE = "rows"  # in the directory's folder


class File:
    """`at` is where the next frame begins, `check` the checksum of the one before."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.at = 0
        self.check = 0

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def stat(self) -> os.stat_result:
        """As it is now."""
        return os.fstat(self._descriptor)

    def head(self) -> Mark:
        """Of which state the base is. Comes first. Raises Damaged."""
        payload, *after = self._whole()
        head = frames.decoded(payload)
        if not isinstance(head, Head):
            raise Damaged("the file does not begin with a head")
        self.at, self.check = after
        return head.mark

    def rows(self) -> Iterator[tuple[Change, ...]]:
        """The base, to be read to its end. Raises Damaged."""
        while (found := self._whole())[0] != END:
            rows = frames.decoded(found[0])
            if not isinstance(rows, Rows):
                raise Damaged("a frame is out of its place")
            self.at, self.check = found[1:]
            yield rows.changes
        self.at, self.check = found[1:]

    def pass_rows(self) -> None:
        """To the base's end, where its rows are known. Raises Damaged."""
        payload = b""
        while payload != END:
            payload, self.at, self.check = self._whole()

    def batches(self) -> Iterator[Batch]:
        """What has come to the log. Raises Damaged."""
        if self.stat().st_size < self.at:
            raise Damaged("the file has become shorter")
        while found := self._next():
            batch = frames.decoded(found[0])
            if not isinstance(batch, Batch):
                raise Damaged("a frame is out of its place")
            yield batch
            self.at, self.check = found[1:]

    def _whole(self) -> tuple[bytes, int, int]:
        found = self._next()
        if found is None:
            raise Damaged("the base is not complete")
        return found

    def _next(self) -> tuple[bytes, int, int] | None:
        before = os.pread(self._descriptor, BEFORE, self.at)
        if len(before) < BEFORE:
            return None
        length, own = frames.lengths_of(before, self.check)
        payload = os.pread(self._descriptor, length, self.at + BEFORE)
        if len(payload) < length:
            return None
        frames.require(payload, self.check, own)
        return payload, self.at + BEFORE + length, own
