"""What a dead Envoy had under way is settled once, from its records, whatever is killed when."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from inflight import ENDED, Inflight, write_records
from ledger_process import Ledger, end_line, open_slots, reserve, wait_until
from redis import Redis

from headgate.limits import LimitRow, LimitsRow
from ledger.spool import recorder
from ledger.spool.lines import RECOVERED
from ledger.spool.records import LAYOUTS, records_of

E1, E2 = "20260101T000000-aaaaaa", "20260102T000000-bbbbbb"
LIMITS = LimitsRow((LimitRow("tpm", 10**9),))
ASKED = {"bytes_in": 400, "estimated_tokens": 100, "streamed": 1, "reserved": 1, "price_generation": 1}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def stream(request_id: str, completion: int = 7, **more: Any) -> Inflight:
    counts = {"prompt_tokens": 90, "completion_tokens": completion, "content_events": completion}
    return Inflight(request_id, now_ms() - 5000, status=200, counts=counts, numbers=ASKED, **more)


def start_line(request_id: str, target: str) -> bytes:
    line = {"v": 1, "type": "start", "request_id": request_id, "target": target, "provider_key": "first"}
    return json.dumps(line).encode() + b"\n"


def charged(ledger: Ledger) -> dict[str, tuple[str, int, int, bool]]:
    """By request: who answered, and tokens."""
    all_rows = [row for row in ledger.journal() if row.tenant]
    rows = {row.request_id: row for row in all_rows}
    assert len(rows) == len(all_rows)
    return {
        one: (row.provider, row.prompt_tokens, row.completion_tokens, row.estimated)
        for one, row in rows.items()
        if row.flags == RECOVERED
    }


def records(ledger: Ledger, epoch: str = E1) -> Path:
    return ledger.spool / f"{epoch}.0.inflight"


def test_what_was_under_way_is_settled_as_far_as_it_had_come(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E2)
    ledger.tables({"acme": LIMITS})
    reserve(valkey, E1, "streamed", "waiting", "written", limits=LIMITS, input=100, output=50)
    ledger.append(E1, start_line("streamed", "first") + start_line("streamed", "second") + end_line("written"))
    write_records(
        records(ledger),
        stream("streamed"),
        Inflight("waiting", now_ms() - 900, numbers=ASKED),
        stream("written", state=ENDED, ended_ms=now_ms() - 10),
        stream("unwritten", state=ENDED, ended_ms=now_ms() - 10),
        Inflight("refused", now_ms() - 800, status=400, state=ENDED, ended_ms=now_ms(), numbers=ASKED),
        stream("alone", texts={"tenant": "globex", "user": "ann"}),
    )
    ledger.start()
    wait_until(lambda: not open_slots(valkey) and len(ledger.journal()) == 6)
    assert charged(ledger) == {
        "streamed": ("second", 90, 7, False),
        "waiting": ("", 100, 0, True),
        "unwritten": ("", 90, 7, False),
        "refused": ("", 0, 0, False),
        "alone": ("", 90, 7, False),
    }
    assert not records(ledger).exists()
    alone = next(row for row in ledger.journal() if row.request_id == "alone")
    assert (alone.tenant, alone.user) == ("globex", "ann")
    assert now_ms() - 60_000 < alone.began_ms < now_ms() - 5000
    assert ledger.logged("requests without a record are charged their estimate") == []


def test_what_anybody_can_write_hides_no_request_and_what_is_long_over_is_not_charged_again(ledger: Ledger) -> None:
    """A line of nobody's has the id that its client sent; the line of what ended days ago may be gone by now."""
    ledger.alive(E2)
    ledger.append(E1, end_line("streamed", tenant=None) + start_line("streamed", "a") + start_line("streamed", "b"))
    write_records(
        records(ledger),
        stream("streamed", texts={"upstream_model": "first"}, answered_by="second"),
        stream("long ago", state=ENDED, ended_ms=now_ms() - 4 * 86_400_000),
    )
    ledger.start()
    wait_until(lambda: not records(ledger).exists() and charged(ledger))
    assert charged(ledger) == {"streamed": ("b", 90, 7, False)}
    row = next(row for row in ledger.journal() if row.flags == RECOVERED)
    assert (row.upstream_model, row.attempts) == ("second", 2)


def test_records_whose_spool_was_taken_away_are_settled_all_the_same(ledger: Ledger) -> None:
    ledger.alive(E2)
    write_records(records(ledger), stream("streamed"))
    ledger.start()
    wait_until(lambda: charged(ledger) == {"streamed": ("", 90, 7, False)})
    assert not records(ledger).exists()


def test_records_of_an_envoy_that_lives_are_left_alone(ledger: Ledger) -> None:
    ledger.alive(E1)
    ledger.append(E1, end_line("written"))
    write_records(records(ledger), stream("streamed"))
    ledger.start()
    wait_until(lambda: len(ledger.journal()) == 1)
    time.sleep(2.5)
    assert records(ledger).exists()
    assert len(ledger.journal()) == 1


def test_killed_at_any_moment_each_is_counted_once(ledger: Ledger) -> None:
    """Also where the file of lines was written and the records have stayed."""
    ledger.alive(E2)
    some = [stream(f"r{number}", number + 1) for number in range(60)]
    write_records(records(ledger), *some)
    ledger.append(E1, start_line("r0", "local"))
    for pause_s in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):
        ledger.start()
        time.sleep(pause_s)
        ledger.kill()
        write_records(records(ledger), *some)
    ledger.start()
    wait_until(lambda: not records(ledger).exists() and len(ledger.journal()) == 60)
    time.sleep(1.5)
    assert sum(row.completion_tokens for row in ledger.journal()) == sum(range(1, 61))


def test_a_record_that_cannot_be_keeps_no_other_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may leave anything where nothing is checked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spool").mkdir()
    odd = stream("odd", state=ENDED, ended_ms=2**62), stream("none", texts={"price_factor": "much"})
    write_records(tmp_path / "spool" / f"{E1}.0.inflight", *odd, stream("good", state=ENDED, ended_ms=2**62 - 1))
    assert recorder.forget(lambda _: True) == 0
    write_records(tmp_path / "spool" / f"{E1}.0.inflight", *odd[1:], stream("good"))
    assert recorder.recover(E1) == 1


def test_records_of_an_earlier_version_are_made_lines_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spool").mkdir()
    written = stream("a", texts={"model": "chat", "upstream_model": "gpt", "user": "ann"})
    write_records(tmp_path / "spool" / f"{E1}.0.inflight", written, layout=LAYOUTS[0])
    assert recorder.recover(E1) == 1
    (path,) = (tmp_path / "spool").iterdir()
    line = json.loads(path.read_bytes())
    assert [line[name] for name in ("request_id", "model", "upstream_model", "user")] == ["a", "chat", "gpt", "ann"]
    assert (line["prompt_tokens"], line["base_model"]) == (90, None)


def test_records_of_a_later_version_stay_and_the_operator_is_told(ledger: Ledger) -> None:
    ledger.alive(E2)
    later = LAYOUTS[-1]._replace(magic=b"HGFLY\0\0\xff")
    write_records(records(ledger, E1), stream("a"), layout=later)
    (ledger.spool / "20251231T000000-cccccc.0.inflight").write_bytes(bytes(9000))  # never begun
    ledger.start()
    wait_until(lambda: len(list(ledger.spool.glob("*.inflight"))) == 1)
    wait_until(
        lambda: bool(ledger.logged("records of an envoy are in a layout that this version does not know: they stay"))
    )
    assert records(ledger, E1).exists()
    assert ledger.journal() == []


def test_while_the_lines_cannot_be_written_the_records_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spool = tmp_path / "spool"
    in_the_way = spool / f"{E1}.recovered.ndjson"
    in_the_way.mkdir(parents=True)
    write_records(spool / f"{E1}.0.inflight", stream("a"))
    with pytest.raises(OSError, match="directory"):
        recorder.recover(E1)
    assert [path.name for path in spool.iterdir() if path.is_file()] == [f"{E1}.0.inflight"]
    in_the_way.rmdir()
    assert recorder.recover(E1) == 1
    assert recorder.recover(E1) == 0
    assert [path.name for path in spool.iterdir()] == [in_the_way.name]


def test_what_a_deleted_tenant_has_in_records_is_wiped_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spool").mkdir()
    path = tmp_path / "spool" / f"{E1}.0.inflight"
    write_records(
        path,
        stream("long ago", state=ENDED, ended_ms=now_ms() - 9000, texts={"user": "ann"}),
        stream("just now", state=ENDED, ended_ms=now_ms()),
        stream("under way"),
        stream("another", state=ENDED, ended_ms=now_ms() - 9000, texts={"tenant": "globex"}),
    )
    assert recorder.count_of(lambda line: line.tenant == "acme") == 1
    assert recorder.forget(lambda line: line.tenant == "acme") == 1
    assert recorder.count_of(lambda line: line.tenant == "acme") == 0
    assert {record.request_id for record in records_of(path)} == {"just now", "under way", "another"}
    assert b"long ago" not in path.read_bytes()
    assert b"ann" not in path.read_bytes()
