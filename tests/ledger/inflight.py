"""Files of records as envoy/module/recorder.c writes them; tests/metering/test_recorder.py reads its own."""

from dataclasses import dataclass, field
from pathlib import Path

from ledger.spool.records import COUNTS, HEAD_BYTES, LAYOUTS, NUMBERS, RECORD_BYTES, Layout, digest_of

LIVE, ENDED = 1, 2


@dataclass(frozen=True)
class Inflight:
    """One request; numbers and texts by the names of the spool's fields, those that are not given are unknown."""

    request_id: str
    began_ms: int
    ended_ms: int = 0
    status: int = 0
    state: int = LIVE
    counts: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    answered_by: str = ""  # the model of another attempt than the first one


def write_records(path: Path, *records: Inflight, layout: Layout = LAYOUTS[-1]) -> None:
    """With a hundred places, of which these are the first."""
    places = [_packed(one, layout) for one in records]
    places += [bytes(RECORD_BYTES)] * (100 - len(places))
    path.write_bytes(layout.magic.ljust(HEAD_BYTES, b"\0") + b"".join(places))


def _packed(one: Inflight, layout: Layout) -> bytes:
    texts = {"tenant": "acme", "model": "chat", "surface": "chat", **one.texts, "request_id": one.request_id}
    said = [texts.get(name, "").encode() for name in layout.texts]
    values = (
        *(one.state, one.began_ms, one.ended_ms, one.status),
        *(one.counts.get(name, -1) for name in COUNTS),
        *(len(one.answered_by), one.answered_by.encode(), 0),
        *(one.numbers.get(name, -1) for name in NUMBERS),
        *map(len, said),
    )
    data = bytearray(layout.record.pack(*values) + b"".join(said))
    digest = digest_of(data[8:16] + data[layout.covered_from :])
    data[layout.covered_from - 8 : layout.covered_from] = digest.to_bytes(8, "little")
    return bytes(data.ljust(RECORD_BYTES, b"\0"))
