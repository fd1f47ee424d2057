"""Failed attempts: what their lines mean, what people read of them, and the rests that they lead to."""

import datetime as dt
from typing import Any

import pytest
from ledger_process import Ledger, attempt_line, end_line, wait_until
from redis import Redis

from ledger.spool.attempts import KINDS, Attempt, age_s, is_answer, kind_of, parsed, rest_s

E1, E2 = "20260101T000000-aaaaaa", "20260101T000001-bbbbbb"
NOW = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)
RESTS = "hg:feed:rests"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        (" 20 ", 20),
        ("1.5", 1.5),
        ("0", 1),
        ("0.001", 1),
        ("600", 600),
        ("86400", 600),
        ("9" * 60, 600),
        (None, 5),
        ("", 5),
        ("-3", 5),
        ("soon", 5),
        ("nan", 5),
        ("inf", 5),
        ("1e3", 5),
        ("7s", 5),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 1),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 600),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30),
        ("Thu, 32 Jan 2026 12:00:30 GMT", 5),
        ("Thu, 01 Jan 2026 12:00:30 +99999999999999", 5),
    ],
)
def test_how_long_a_429_asks_to_rest(retry_after: str | None, seconds: float) -> None:
    assert rest_s(retry_after, NOW) == seconds


@pytest.mark.parametrize(
    ("exact", "seconds"), [("1500", 1.5), ("20", 1), ("99999999", 600), (None, 7), ("", 7), ("soon", 7), ("-5", 7)]
)
def test_milliseconds_are_the_more_exact_word(exact: str | None, seconds: float) -> None:
    assert rest_s("7", NOW, exact) == seconds


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": 429, "flags": "-"}, "429"),
        ({"status": 404, "flags": "-"}, "4xx"),
        ({"status": 503, "flags": "-"}, "5xx"),
        ({"status": 0, "flags": "UF"}, "connect"),
        ({"status": 0, "flags": "UC"}, "reset"),
        ({"status": 200, "flags": "UC"}, "reset"),
        ({"status": 0, "flags": "UT"}, "timeout"),
        ({"status": 200, "flags": "UPE"}, "protocol"),
        ({"status": 0, "flags": "-"}, "given_up"),
        ({"status": 0, "flags": "XX,UF"}, "connect"),
        ({"status": 700, "flags": "XX"}, "other"),
        ({}, "given_up"),
        ({"status": 0, "flags": "UT", "route": "5xx/idle=60/hedged"}, "hedged"),
        ({"status": 0, "flags": "-", "route": "5xx/idle=60/hedged"}, "hedged"),
        ({"status": 0, "flags": "UT,UC", "route": "5xx/idle=60/hedged"}, "reset"),
        ({"status": 503, "flags": "UT", "route": "5xx/idle=60/hedged"}, "5xx"),
        ({"status": 0, "flags": "UT", "route": "5xx/idle=60"}, "timeout"),
    ],
)
def test_what_happened_in_one_of_few_words(fields: dict[str, Any], kind: str) -> None:
    assert kind_of(Attempt(**fields)) == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("status", "flags", "route", "answered"),
    [
        (200, "UT", "x/hedged", True),
        (200, "UT,UC", "x/hedged", False),
        (200, "UT", "x", False),
        (0, "UT", "x/hedged", False),
        (503, "UT", "x/hedged", False),
        (200, "UPE", None, False),
    ],
)
def test_a_slow_attempt_that_won_has_not_failed(status: int, flags: str, route: str | None, answered: bool) -> None:
    assert is_answer(Attempt(status=status, flags=flags, route=route)) == answered


def test_a_line_that_is_read_late_asks_for_less() -> None:
    assert age_s(Attempt(time="2026-01-01T11:59:58.500Z"), NOW) == 1.5
    assert age_s(Attempt(time="2026-01-01T12:00:09.000Z"), NOW) == 0
    assert age_s(Attempt(time="yesterday"), NOW) == age_s(Attempt(), NOW) == 0


def test_what_is_no_line_is_none() -> None:
    for junk in (b"", b"{", b"\xff", b"[1]", b'{"status": "x"}', b"[" * 100_000):
        assert parsed(junk) is None


def test_a_request_that_failed_or_was_retried_is_told_once_with_its_attempts(ledger: Ledger, valkey: Redis) -> None:
    """Whichever file Envoy flushes first."""
    ledger.alive(E1)
    ledger.start()
    ledger.append_attempts(E1, attempt_line("attempts-first"), attempt_line("attempts-first", target="b", status=429))
    wait_until(lambda: ledger.checkpoint_of("attempts").get("files"))
    ledger.append(E1, end_line("attempts-first", attempts=3, status=200, target="c", flags="-"))
    ledger.append(E1, end_line("end-first", attempts=2, status=503, target="b", flags="URX,UF"))
    wait_until(lambda: ledger.says().get("end") == 2)
    down = attempt_line("end-first", status=0, flags="UF", reason="Connection refused")
    ledger.append_attempts(E1, attempt_line("end-first"), down)
    wait_until(lambda: ledger.logged("request was retried") and ledger.logged("request failed"))
    (retried,) = ledger.logged("request was retried")
    assert (retried["request_id"], retried["attempts"], retried["status"]) == ("attempts-first", 3, 200)
    assert retried["target"] == "c"
    assert retried["failed_attempts"] == [
        {"target": "a", "kind": "5xx", "status": 503, "duration_ms": 12},
        {"target": "b", "kind": "429", "status": 429, "duration_ms": 12},
    ]
    (failed,) = ledger.logged("request failed")
    assert failed["failed_attempts"] == [
        {"target": "a", "kind": "5xx", "status": 503, "duration_ms": 12},
        {"target": "a", "kind": "connect", "reason": "Connection refused", "duration_ms": 12},
    ]


def test_a_request_is_told_of_although_lines_of_its_attempts_are_lost(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append(E1, end_line("lost", attempts=2, status=503, target="b", flags="URX"))
    ledger.start()
    wait_until(lambda: ledger.logged("request failed"))
    assert ledger.logged("request failed")[0]["failed_attempts"] == []


def test_a_target_that_envoy_would_not_try_has_no_line_and_is_told_of(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append_attempts(E1, attempt_line("r"))
    ledger.append(E1, end_line("r", attempts=2, status=503, target="gone", flags="UH"))
    ledger.start()
    wait_until(lambda: ledger.logged("request failed"))
    (failed,) = ledger.logged("request failed")
    assert [one["kind"] for one in failed["failed_attempts"]] == ["5xx", "no_endpoint"]


def test_what_is_nobodys_failure_is_not_told(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append_attempts(E1, attempt_line("mistake", status=400), attempt_line("left", status=0), b"{\n\xff\n")
    ledger.append(E1, end_line("well", attempts=1, status=200, target="a", flags="-"))
    ledger.append(E1, end_line("mistake", attempts=1, status=400, target="a", flags="-"))
    ledger.append(E1, end_line("left", attempts=1, status=0, target="a", flags="DC"))
    ledger.append(E1, end_line("ours", attempts=0, status=503, flags="-"))
    ledger.append(E1, end_line("key", attempts=1, status=401, target="a", flags="-"))
    ledger.append_attempts(E1, attempt_line("key", status=401))
    ledger.start()
    wait_until(lambda: ledger.logged("request failed"))
    assert [line["request_id"] for line in ledger.logged("request failed")] == ["key"]
    assert not ledger.logged("request was retried")


def rests(valkey: Redis) -> set[str]:
    found: Any = valkey.zrange(RESTS, 0, -1)
    return set(found)


def limited(model: str | None, retry_after: str | None = "30", **more: Any) -> bytes:
    return attempt_line("r", status=429, upstream_model=model, retry_after=retry_after, **more)


def test_a_429_makes_its_model_rest_for_all_gateways(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.start()
    long_ago = "2026-01-01T00:00:00.000Z"
    ledger.append_attempts(
        E1, limited(None), attempt_line("r", upstream_model="m", status=503), limited("old", time=long_ago)
    )
    ledger.append_attempts(E1, limited("m/1"), limited("m/2", None), limited("m/3", "999999"))
    target = '["provider/a@0123456789","{}"]'
    wait_until(lambda: rests(valkey) == {target.format(model) for model in ("m/1", "m/2", "m/3")})
    now: Any = valkey.time()
    ends: Any = valkey.zrange(RESTS, 0, -1, withscores=True)
    left = {name: float(end) / 1000 - now[0] for name, end in ends}
    assert left[target.format("m/2")] < 6 < left[target.format("m/1")] < 31
    assert 500 < left[target.format("m/3")] < 602


def test_after_a_restart_lines_are_not_read_again(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.append_attempts(E1, limited("first"))
    ledger.start()
    wait_until(lambda: len(rests(valkey)) == 1)
    ledger.end()
    valkey.flushall()
    ledger.append_attempts(E1, limited("second"))
    ledger.start()
    wait_until(lambda: rests(valkey) == {'["provider/a@0123456789","second"]'})


def test_a_ledger_that_was_away_reads_what_it_missed(ledger: Ledger, valkey: Redis) -> None:
    ledger.alive(E1)
    ledger.start()
    ledger.append_attempts(E1, limited("before"))
    wait_until(lambda: len(rests(valkey)) == 1)
    ledger.kill()
    ledger.append_attempts(E1, limited("meanwhile"))
    ledger.start()
    wait_until(lambda: len(rests(valkey)) == 2)


def test_files_are_gone_when_they_are_read_and_their_envoy_is_dead(ledger: Ledger, valkey: Redis) -> None:
    """And those set aside, once there is a new one; the file that is written to stays."""
    ledger.settings(min_free_bytes=1, rotate_bytes=2**30, keep_s=3600)
    ledger.alive(E2)
    ledger.append(E2, end_line("x"))
    ledger.append_attempts(E1, limited("dead"), limited("half")[:40])
    ledger.append_attempts(f"{E2}.000001", limited("aside"))
    ledger.append_attempts(E2, limited("now"))
    ledger.start()
    wait_until(lambda: len(rests(valkey)) == 3)
    wait_until(lambda: sorted(path.name for path in ledger.spool.iterdir()) == [f"{E2}.attempts", f"{E2}.ndjson"])
    wait_until(lambda: [mark["name"] for mark in ledger.checkpoint_of("attempts")["files"]] == [f"{E2}.attempts"])


def test_a_full_file_is_set_aside(ledger: Ledger, valkey: Redis) -> None:
    ledger.settings(min_free_bytes=1, rotate_bytes=2000, keep_s=3600)
    ledger.alive(E1)
    ledger.append_attempts(E1, *[limited(f"m{number}") for number in range(20)])
    ledger.start()
    wait_until(lambda: (ledger.spool / f"{E1}.000001.attempts").exists())
    ledger.append_attempts(E1, limited("after"))  # Envoy has opened a new one
    wait_until(lambda: [path.name for path in ledger.spool.iterdir()] == [f"{E1}.attempts"])
    wait_until(lambda: len(rests(valkey)) == 21)


def test_lines_without_a_request_are_lines(ledger: Ledger, valkey: Redis) -> None:
    """What Envoy refuses before there is a request: counted, and nobody's to settle."""
    ledger.alive(E1)
    ledger.append(E1, end_line(None, tenant=None, model=None, reserved=None, status=400, attempts=0, flags="DPE"))  # type: ignore[arg-type]
    ledger.append(E1, end_line(None, reserved=None, status=503))  # type: ignore[arg-type]
    ledger.append(E1, end_line("last"))
    ledger.start()
    wait_until(lambda: valkey.exists("hg:{acme}:r:last"))
    assert ledger.says()["end"] == 3
    assert "garbage" not in ledger.says()
    assert valkey.keys("hg:*:r:*") == ["hg:{acme}:r:last"]
    assert not ledger.logged("spool lines that are none")
