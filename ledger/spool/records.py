"""The records of requests in files beside the spool, as envoy/module/recorder.h writes them, and their `end` lines.

A file has a head of 4,096 bytes, which begins with `HGFLY`, two zeros and the layout's version, and then records of
1,024 bytes in the machine's byte order: numbers, and texts one behind the other. A record whose digest is wrong says
nothing. Each layout that an Envoy has ever written is read: one may outlive the version that started it. Blocks.
"""

import datetime as dt
import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from ledger.spool.lines import RECOVERED, Line

HEAD_BYTES = 4096
RECORD_BYTES = 1024
_MAGIC_BYTES = 8
_LIVE, _ENDED = 1, 2
COUNTS = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("units", "content_events", "content_bytes"),
)
NUMBERS = (
    *("bytes_in", "estimated_tokens", "estimated_completion_tokens", "counted_tokens", "estimated_units"),
    *("price_generation", "streamed", "reserved"),
)
_MODEL_BYTES = 120
_STATE = struct.Struct("=Q")
STATE_BYTES = _STATE.size


class Layout(NamedTuple):
    """One version's: which texts there are, and how much room; `record` is all but those.

    `covered_from` is where begins what the digest is of, but for `began_ms`.
    """

    magic: bytes
    texts: tuple[str, ...]
    text_bytes: int
    record: struct.Struct
    covered_from: int


def _layout(version: int, texts: tuple[str, ...], text_bytes: int) -> Layout:
    said = f"{len(NUMBERS)}q{len(texts)}H"
    record = struct.Struct(f"=Qqqq{len(COUNTS)}qQ{_MODEL_BYTES}sQ{said}")
    magic = b"HGFLY\0\0" + bytes([version])
    return Layout(magic, texts, text_bytes, record, record.size - struct.calcsize(f"={said}"))


_TEXTS = (
    *("request_id", "tenant", "key_id", "surface", "model", "base_model", "upstream_model", "unit", "variant"),
    *("trace_id", "budgets", "price_factor", "user"),
)
LAYOUTS = (  # the last one is written
    _layout(1, tuple(name for name in _TEXTS if name != "base_model"), 640),
    _layout(2, _TEXTS, 696),
)
_BY_MAGIC = {one.magic: one for one in LAYOUTS}


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


def has_records(path: Path) -> bool:
    """Whether `records_of` can say all of a file: of one that was never begun, too. Raises OSError."""
    with path.open("rb") as file:
        magic = file.read(_MAGIC_BYTES)
    return magic in _BY_MAGIC or not magic.strip(b"\0")


def records_of(path: Path, *, is_checked: bool = True) -> Iterable[Record]:
    """All that can be read of a file; nothing of one that is gone, or none of ours. Checking takes most of it."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            layout = _BY_MAGIC.get(data[:_MAGIC_BYTES])
            if layout is None:
                return []
            places = range((len(data) - HEAD_BYTES) // RECORD_BYTES)
            used = [place for place in places if _STATE.unpack_from(data, place_at(place))[0] in {_LIVE, _ENDED}]
            found = (
                _record(layout, data[place_at(place) : place_at(place + 1)], place, is_checked) for place in used
            )
            return [record for record in found if record]
    except (FileNotFoundError, ValueError):  # gone; empty: it was not begun
        return []


def _record(layout: Layout, data: bytes, place: int, is_checked: bool) -> Record | None:
    state, began_ms, ended_ms, status, *rest = layout.record.unpack_from(data)
    counts, (model_length, model, digest) = rest[: len(COUNTS)], rest[len(COUNTS) : len(COUNTS) + 3]
    numbers, lengths = rest[len(COUNTS) + 3 : -len(layout.texts)], rest[-len(layout.texts) :]
    end = layout.record.size + sum(lengths)
    if end > layout.record.size + layout.text_bytes:
        return None
    if is_checked and digest != digest_of(data[8:16] + data[layout.covered_from : end]):
        return None
    texts, at = {}, layout.record.size
    for name, length in zip(layout.texts, lengths, strict=True):
        texts[name] = data[at : at + length].decode(errors="ignore")  # the last one may be cut within a character
        at += length
    if 0 < model_length <= _MODEL_BYTES:  # of who answers
        texts["upstream_model"] = model[:model_length].decode(errors="ignore")
    return Record(
        place,
        began_ms,
        max(ended_ms, 1) if state == _ENDED else 0,
        status,
        {name: count for name, count in zip(COUNTS, counts, strict=True) if count >= 0},
        {name: number for name, number in zip(NUMBERS, numbers, strict=True) if number >= 0},
        texts,
    )


def digest_of(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return digest


def place_at(place: int) -> int:
    """Where a record is in its file."""
    return HEAD_BYTES + place * RECORD_BYTES
