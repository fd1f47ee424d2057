"""A directory's folder as control writes it, and how to read it anew."""

from pathlib import Path

from headgate.directory.directory import Directory
from headgate.directory.file import FILE
from headgate.directory.following import Following
from headgate.directory.rows import Change, KeyRow, Mark, change_to, gone
from headgate.directory.writer import Writer


def mark(version: int) -> Mark:
    return Mark(version, version, bytes([version % 256]) * 32)


def opened(folder: Path) -> Writer:
    writer = Writer(folder)
    assert writer.open()
    return writer


def started(folder: Path) -> Writer:
    """With an empty base."""
    writer = opened(folder)
    writer.replace(mark(0), [])
    return writer


def key(number: int, version: int = 1, **more: object) -> Change:
    row = {"tenant": "acme", "pepper_id": "p1", "role": "developer", "version": version, **more}
    return change_to(KeyRow(id=f"key_{number}", digest=digest(number), **row))  # type: ignore[arg-type]


def revoked(number: int) -> Change:
    return gone(KeyRow, (f"key_{number}",))


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def numbers(directory: Directory, upto: int = 50) -> list[int]:
    """The keys that it knows."""
    return [number for number in range(upto) if directory.key(digest(number))]


def read(folder: Path) -> Following:
    """As a process that starts."""
    return Following(folder)


def content(folder: Path) -> bytes:
    return (folder / FILE).read_bytes()
