"""Exported audit logs as files: written whole or not at all, and verified without a gateway.

What makes a chain is control's business (control/audit_chain.py): it is loaded when a file is verified.
"""

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from headgate.commands.admin.progress import bar

_OFTEN = 500  # entries between two looks at the progress


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ended when somebody looked."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


class HeadType(click.ParamType[Head]):
    """`SEQ:HASH`, as `headgate audit verify` prints it."""

    name = "head"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        """Parses."""
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", value)
        if not found:
            self.fail("expected SEQ:HASH as `headgate audit verify` prints it", param, ctx)
        return Head(int(found[1]), bytes.fromhex(found[2]))


def write_lines(lines: Iterable[bytes], file: Path, expected: int | None) -> int:
    """Write them so that the file is whole or is not there, for its owner only; how many."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    written = 0
    try:
        with (
            os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened,
            bar("exporting", expected) as tell,
        ):
            for line in lines:
                opened.write(line + b"\n")
                written += 1
                if written % _OFTEN == 0:
                    tell(written)
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return written


def verdict_of(file: Path, head: Head | None) -> dict[str, Any]:
    """What the API's `audit/verify` says, of a file. Raises ValueError for what is no export, OSError."""
    chain = importlib.import_module("control.audit_chain")
    known = chain.Head(head.seq, head.hash) if head else None
    with file.open("rb") as opened:
        verdict = chain.verify(_entries(opened, file.stat().st_size, chain.entry_of), known)
    bad = verdict.bad and {"seq": verdict.bad.seq, "problem": verdict.bad.problem}
    return {
        "entries": verdict.entries,
        "head": {"seq": verdict.head.seq, "hash": verdict.head.hash.hex()},
        "bad": bad,
    }


def _entries(opened: IO[bytes], size: int, entry_of: Any) -> Iterator[Any]:
    done = 0
    with bar("verifying", size) as tell:
        for number, line in enumerate(opened, 1):
            try:
                entry = entry_of(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            yield entry
            done += len(line)
            if number % _OFTEN == 0:
                tell(done)
