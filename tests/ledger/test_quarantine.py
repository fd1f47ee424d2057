"""Lines that are none: kept with their reason and their place, in a file that does not grow, and nothing stops."""

import json
from pathlib import Path
from typing import Any

import pytest
from ledger_process import Ledger, end_line, open_slots, reserve, wait_until
from redis import Redis
from spending import E1, E2

from ledger.spool import quarantine
from ledger.spool.quarantine import Bad, Quarantine


def bad(text: bytes, at: int = 0) -> Bad:
    return Bad("e.ndjson", at, len(text), "why", text)


def kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_BYTES", 50_000)
    monkeypatch.setattr(quarantine, "TEXT_BYTES", 4096)
    kept_ = Quarantine(tmp_path / "quarantine.ndjson")
    for number in range(200):
        kept_.add([bad(b"\xff\x00%d" % number + b"x" * 100_000, number)])
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["quarantine.1.ndjson", "quarantine.ndjson"]
    assert all(path.stat().st_size <= 50_000 for path in files)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    (last,) = kept(files[1])[-1:]
    assert (last["at"], last["size"], last["file"], last["reason"]) == (199, 100_005, "e.ndjson", "why")
    assert last["text"].startswith("\\xff\x00199x")
    assert [line["at"] for path in files for line in kept(path)] == list(range(200))[
        -sum(map(len, map(kept, files))) :
    ]
    assert kept_.clear() == 2
    assert not list(tmp_path.iterdir())


def test_what_cant_be_kept_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "quarantine.ndjson").mkdir()
    Quarantine(tmp_path / "quarantine.ndjson").add([bad(b"x")])


def test_lines_that_are_none_are_kept_with_the_reason(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E2)
    reserve(valkey, E1, "r0", "r1", "r2")
    long = b"x" * 3_000_000 + b"\n"
    bads = [b"{\n", b'{"type":"end","request_id":7}\n', b'{"type":"other","request_id":"r"}\n', b"\xff\n"]
    first = end_line("r0")
    ledger.append(E1, first + b"".join(bads) + end_line("r1") + long + end_line("r2") + b'{"type":"e')
    ledger.start()
    wait_until(lambda: not open_slots(valkey))
    wait_until(lambda: ledger.logged("last line of an envoy that ended is cut off"))
    lines = kept(ledger.state / "ledger/quarantine.ndjson")
    text = ledger.path(E1).read_bytes()
    whole = [line for line in lines if line["size"] <= 4096]
    assert [text[line["at"] :][: line["size"]].decode(errors="backslashreplace") for line in whole] == [
        line["text"] for line in whole
    ]
    assert {line["file"] for line in lines} == {f"{E1}.ndjson"}
    reasons = [line["reason"] for line in lines]
    assert "request_id" in reasons[1]
    assert reasons[2] == "unknown type"
    assert reasons[-1] == "cut off"
    assert "too long" in reasons
    assert sum(line["size"] for line in lines if line["at"] >= len(first + b"".join(bads))) >= len(long) - 2
    assert ledger.says()["garbage"] == len(lines)
    before = len(lines)
    wait_until(lambda: ledger.checkpoint()["files"][0]["read"] == len(text))
    ledger.kill()
    ledger.start()
    assert len(kept(ledger.state / "ledger/quarantine.ndjson")) == before
