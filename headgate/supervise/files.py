"""Writing files that another process reads: whole or not at all, and only when something changed.

Envoy watches its folder for renames, so the temporary file lies beside the target; an unchanged file is
left alone so that an adopted Envoy does not load what it already has.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes, mode: int = 0o600, *, durable: bool = False) -> bool:
    """Replace `path` by `content` in one rename; False when it already said exactly that. `durable`: on the disk."""
    if _content_of(path) == content:
        return False
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return True


def write_json(path: Path, document: Any) -> bool:
    """`write_atomic` of `document`; the same document gives the same bytes."""
    return write_atomic(path, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a log that are not blank; none when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
