"""What an Envoy that was killed had under way: makes the `end` lines of its records that it could not write. Blocks.

A file whose layout this version does not know stays where it is: another version may read it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog

from headgate import metrics
from headgate.contract import RECORDS_ENDING, SPOOL, epoch_of
from headgate.supervise.files import write_atomic
from ledger.spool.lines import Line
from ledger.spool.records import RECORD_BYTES, STATE_BYTES, Record, has_records, place_at, records_of
from ledger.spool.spool_file import RECOVERED_ENDING, is_recovered
from ledger.spool.spool_search import SpoolSearch

REST_MS = 5000  # Envoy forgets what ended longer ago when the next request comes or goes
WRITTEN_MS = 60_000  # what ended so long before Envoy's last word is in the spool, or has been there

log = structlog.get_logger()


def recover(epoch: str) -> int:
    """Write what an Envoy that has ended left into a spool file of its own, on the disk; how many lines that are.

    Requests whose own line is in the spool are left out, and those whose line was there once are not counted again.
    Done again it does no harm. Raises OSError, BlockingIOError where the Envoy lives after all.
    """
    paths = _files_of(epoch)
    for path in paths:
        _check_dead(path)
    paths = _known(paths)
    if not paths:
        return 0
    records = [record for path in paths for record in records_of(path)]
    lines = _lines(epoch, records) if records else []
    if lines:
        text = b"".join(msgspec.json.encode({"v": 1, **msgspec.structs.asdict(line)}) + b"\n" for line in lines)
        write_atomic(SPOOL / f"{epoch}{RECOVERED_ENDING}", text, durable=True)
        log.warning(
            "requests that an envoy had under way are taken from its records", epoch=epoch, requests=len(lines)
        )
    for path in paths:
        path.unlink(missing_ok=True)
    return len(lines)


def epochs() -> set[str]:
    """The Envoys whose records are here."""
    with os.scandir(SPOOL) as found:  # once a second
        return {epoch_of(one.name) for one in found if one.name.endswith(RECORDS_ENDING) and one.is_file()}


def _known(paths: list[Path]) -> list[Path]:
    """Without those of a layout that only another version knows, of which the operator is told."""
    odd = [path for path in paths if not has_records(path)]
    for path in odd:
        log.error("records of an envoy are in a layout that this version does not know: they stay", file=path.name)
        metrics.RECORDS_UNREAD.inc()
    return [path for path in paths if path not in odd]


def _check_dead(path: Path) -> None:
    """Its Envoy holds a lock on it, whatever can be seen of its process. Raises BlockingIOError."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _lines(epoch: str, records: list[Record]) -> list[Line]:
    words = [path.stat().st_mtime for path in SPOOL.glob(f"{epoch}*.ndjson") if not is_recovered(path.name)]
    last_ms = max(round(max(words, default=0) * 1000), *(max(one.began_ms, one.ended_ms) for one in records))
    left = [one for one in records if not one.ended_ms or one.ended_ms >= last_ms - WRITTEN_MS]
    search = SpoolSearch(epoch, [one.request_id for one in left], min((one.began_ms for one in left), default=0))
    search.go_on()
    made = [
        one.line(last_ms, search.started.get(one.request_id), max(search.attempts[one.request_id], 1))
        for one in left
        if one.request_id not in search.ended
    ]
    if bad := made.count(None):
        log.error("records of an envoy that can't be", epoch=epoch, records=bad)
    return [line for line in made if line]


def forget(is_meant: Callable[[Line], bool]) -> int:
    """Wipe what has ended, and is in the spool by now, out of all records that are meant; how many those were.

    An Envoy that runs may take such a place at this moment: then that record's digest is wrong, and it says nothing.
    Raises OSError.
    """
    wiped = 0
    for path in _files_of("*"):
        for record in list(_meant(path, is_meant)):
            with path.open("r+b") as file:
                os.pwrite(file.fileno(), bytes(RECORD_BYTES - STATE_BYTES), place_at(record.place) + STATE_BYTES)
            wiped += 1
    return wiped


def count_of(is_meant: Callable[[Line], bool]) -> int:
    """How many records there are that `forget` would wipe."""
    return sum(1 for path in _files_of("*") for _ in _meant(path, is_meant))


def _meant(path: Path, is_meant: Callable[[Line], bool]) -> Iterator[Record]:
    before_ms = time.time_ns() // 1_000_000 - REST_MS
    for record in records_of(path, is_checked=False):
        line = record.line(record.ended_ms) if 0 < record.ended_ms <= before_ms else None
        if line and is_meant(line):
            yield record


def _files_of(epoch: str) -> list[Path]:
    return sorted(path for path in SPOOL.glob(f"{epoch}.*{RECORDS_ENDING}") if path.is_file())
