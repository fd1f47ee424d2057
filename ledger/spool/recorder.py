"""What an Envoy that was killed had under way: reads its records, and makes the `end` lines that it could not write.

envoy/module/recorder.h writes them. A file has a head of 4,096 bytes, which begins with `HGFLY`, two zeros and the
layout's version, and then records of 1,024 bytes in the machine's byte order: those of `_RECORD`, and texts one
behind the other. A record whose digest is wrong says nothing. Blocks.
"""

import datetime as dt
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from headgate.contract import RECORDS_ENDING, SPOOL, epoch_of
from headgate.supervise.files import write_atomic
from ledger.spool.lines import RECOVERED, Line
from ledger.spool.spool_file import RECOVERED_ENDING, is_recovered
from ledger.spool.spool_search import SpoolSearch

HEAD_BYTES = 4096
RECORD_BYTES = 1024
REST_MS = 5000  # Envoy forgets what ended longer ago when the next request comes or goes
WRITTEN_MS = 60_000  # what ended so long before Envoy's last word is in the spool, or has been there
_MAGIC = b"HGFLY\0\0\2"
_LIVE, _ENDED = 1, 2
_COUNTS = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("units", "content_events", "content_bytes"),
)
_NUMBERS = (
    *("bytes_in", "estimated_tokens", "estimated_completion_tokens", "counted_tokens", "estimated_units"),
    *("price_generation", "streamed", "reserved"),
)
_TEXTS = (
    *("request_id", "tenant", "key_id", "surface", "model", "base_model", "upstream_model", "unit", "variant"),
    *("trace_id", "budgets", "price_factor", "user"),
)
_MODEL_BYTES = 120
_RECORD = struct.Struct(f"=Qqqq{len(_COUNTS)}qQ{_MODEL_BYTES}sQ{len(_NUMBERS)}q{len(_TEXTS)}H")
_COVERED_FROM = _RECORD.size - struct.calcsize(f"={len(_NUMBERS)}q{len(_TEXTS)}H")  # by the digest, with began_ms
_TEXT_BYTES = 696
_STATE = struct.Struct("=Q")

log = structlog.get_logger()


class Record(NamedTuple):
    """One request. `counts` and `numbers` are by the line's fields, where they are known; times are Unix ms."""

    place: int  # in its file
    began_ms: int
    ended_ms: int  # 0: it was under way
    status: int
    counts: dict[str, int]
    numbers: dict[str, int]
    texts: dict[str, str]

    @property
    def request_id(self) -> str:
        """The gateway's own."""
        return self.texts["request_id"]

    def line(self, ended_ms: int, start: Line | None = None, attempts: int = 1) -> Line | None:
        """The `end` line that Envoy would have written, as far as anybody knows; `start` is its last attempt's.

        None where what it says can be none: it was read while it was written, or the disk has lost a part of it.
        """
        try:
            return self._line(ended_ms, start, attempts)
        except (ValueError, OverflowError, OSError, msgspec.ValidationError):  # of a time, or of its members
            return None

    def _line(self, ended_ms: int, start: Line | None, attempts: int) -> Line:
        ended_ms = max(self.ended_ms or ended_ms, self.began_ms)
        numbers: dict[str, int | bool | None] = dict(self.numbers)
        numbers["config_generation"] = numbers.get("price_generation")
        for name in ("streamed", "reserved"):
            numbers[name] = bool(numbers[name]) if name in self.numbers else None
        known = {
            "type": "end",
            "time": dt.datetime.fromtimestamp(ended_ms / 1000, dt.UTC).isoformat(timespec="milliseconds"),
            "target": start.target if start else None,
            "provider_key": start.provider_key if start else None,
            "attempts": attempts,
            "status": self.status,
            "flags": RECOVERED,
            "request_ms": 0,
            "duration_ms": ended_ms - self.began_ms,
        }
        texts = {name: text or None for name, text in self.texts.items()}
        return msgspec.convert({**known, **texts, **self.counts, **numbers}, Line)


def recover(epoch: str) -> int:
    """Write what an Envoy that has ended left into a spool file of its own, on the disk; how many lines that are.

    Requests whose own line is in the spool are left out, and those whose line was there once are not counted again.
    Done again it does no harm. Raises OSError, BlockingIOError where the Envoy lives after all.
    """
    paths = _files_of(epoch)
    if not paths:
        return 0
    for path in paths:
        _check_dead(path)
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
    return {epoch_of(path.name) for path in _files_of("*")}


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
                os.pwrite(file.fileno(), bytes(RECORD_BYTES - _STATE.size), _at(record.place) + _STATE.size)
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


def records_of(path: Path, *, is_checked: bool = True) -> Iterable[Record]:
    """All that can be read of a file; nothing of one that is gone, or none of ours. Checking takes most of it."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[: len(_MAGIC)] != _MAGIC:
                return []
            places = range((len(data) - HEAD_BYTES) // RECORD_BYTES)
            used = [place for place in places if _STATE.unpack_from(data, _at(place))[0] in {_LIVE, _ENDED}]
            found = (_record(data[_at(place) : _at(place + 1)], place, is_checked) for place in used)
            return [record for record in found if record]
    except (FileNotFoundError, ValueError):  # gone; empty: it was not begun
        return []


def _record(data: bytes, place: int, is_checked: bool) -> Record | None:
    state, began_ms, ended_ms, status, *rest = _RECORD.unpack_from(data)
    counts, (model_length, model, digest) = rest[: len(_COUNTS)], rest[len(_COUNTS) : len(_COUNTS) + 3]
    numbers, lengths = rest[len(_COUNTS) + 3 : -len(_TEXTS)], rest[-len(_TEXTS) :]
    end = _RECORD.size + sum(lengths)
    if end > _RECORD.size + _TEXT_BYTES:
        return None
    if is_checked and digest != _digest(data[8:16] + data[_COVERED_FROM:end]):
        return None
    texts, at = {}, _RECORD.size
    for name, length in zip(_TEXTS, lengths, strict=True):
        texts[name] = data[at : at + length].decode(errors="ignore")  # the last one may be cut within a character
        at += length
    if 0 < model_length <= _MODEL_BYTES:  # of who answers
        texts["upstream_model"] = model[:model_length].decode(errors="ignore")
    return Record(
        place,
        began_ms,
        max(ended_ms, 1) if state == _ENDED else 0,
        status,
        {name: count for name, count in zip(_COUNTS, counts, strict=True) if count >= 0},
        {name: number for name, number in zip(_NUMBERS, numbers, strict=True) if number >= 0},
        texts,
    )


def _digest(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return digest


def _at(place: int) -> int:
    return HEAD_BYTES + place * RECORD_BYTES


def _files_of(epoch: str) -> list[Path]:
    return sorted(path for path in SPOOL.glob(f"{epoch}.*{RECORDS_ENDING}") if path.is_file())
