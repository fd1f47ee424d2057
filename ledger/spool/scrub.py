"""Writes a spool file anew, without what deleted tenants have in it. For files that are done with; blocks."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from headgate.contract import SPOOL
from ledger.spool.spool_file import RECOVERED_ENDING, SpoolFile

_PREFIX = ".scrubbed-"  # the follower leaves alone what begins with a dot


class Draft(NamedTuple):
    """A file that is to take another one's place: its bytes, its `first_line_digest`, and how many lines differ."""

    path: Path
    size: int
    head: str | None
    lines: int


def draft_of(path: Path, scrubbed: Callable[[bytes], bytes]) -> Draft | None:
    """On the disk, and None where no line changes. Raises OSError."""
    if not (changed := _count(path, scrubbed)):
        return None
    draft = path.with_name(f"{_PREFIX}{path.name}")
    with path.open("rb") as old, os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
        for line in old:
            new.write(scrubbed(line[:-1]) + b"\n" if line.endswith(b"\n") else line)
        new.flush()
        os.fsync(new.fileno())
    stat = path.stat()
    os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    file = SpoolFile.open(draft)
    try:
        return Draft(draft, file.size(), file.first_line_digest(), changed)
    finally:
        file.close()


def count_of(path: Path, scrubbed: Callable[[bytes], bytes]) -> int:
    """How many lines are still to be changed; none in a file that is gone."""
    try:
        return _count(path, scrubbed)
    except FileNotFoundError:
        return 0


def remove_drafts() -> None:
    """Those that an earlier process has left, of recovered files too."""
    for pattern in (f"{_PREFIX}*", f".*{RECOVERED_ENDING}.*"):
        for path in SPOOL.glob(pattern):
            path.unlink(missing_ok=True)


def _count(path: Path, scrubbed: Callable[[bytes], bytes]) -> int:
    with path.open("rb") as file:
        return sum(scrubbed(line[:-1]) != line[:-1] for line in file if line.endswith(b"\n"))
