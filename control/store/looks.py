"""How SQLite's files look: who has read a database that still looks the same need not ask it again.

Two calls of the kernel's, where a transaction takes fifty times as long. Every commit of any process is a write to
one of the files; what was written in the last seconds may look like what comes next, and so it looks like nothing.
"""

import time
from pathlib import Path

COARSEST_CLOCK_S = 3.0  # of a file system's: FAT counts in 2 s

Looks = tuple[tuple[int, int, int, int], ...]  # of the file and its log: device, inode, size, ns of the last write


def looks_of(file: Path | None) -> Looks | None:
    """None where it can't be said, as of a server's database: then whoever wants to know has to ask."""
    if file is None:
        return None
    found = []
    for path in (file, file.with_name(f"{file.name}-wal")):
        try:
            looks = path.stat()
        except FileNotFoundError:
            continue
        if time.time() - looks.st_mtime < COARSEST_CLOCK_S:  # or in the future
            return None
        found.append((looks.st_dev, looks.st_ino, looks.st_size, looks.st_mtime_ns))
    return tuple(found) or None
