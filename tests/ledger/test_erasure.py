"""A deleted tenant's data on one host: nobody's afterwards, whatever is killed when, and all sums as they were."""

import contextlib
import datetime as dt
import json
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

import msgspec
from ledger_process import Ledger, open_slots, wait_until
from redis import Redis
from spending import E1, E2, LIMITS, PRICE, base_of, in_database, reserved, used_line

from headgate.counters.settlement import Alert
from headgate.erasures import Erasure, Report, ask, asked, forget, report, reported
from headgate.limits import LimitRow, LimitsRow
from ledger.alerting.alert_event import event_of, tenant_of
from ledger.alerting.alert_queue import AlertQueue, Entry
from tests.counters.valkey_server import ValkeyServer

ERASURE = Erasure("del_1", "acme")
SUMS = "SELECT sum(requests), sum(input), sum(output), sum(nano_usd) FROM usage_by_day"


def now(seconds_ago: float = 0.0) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds")


def line_of(number: int, tenant: str = "acme") -> bytes:
    return used_line(f"{tenant}-{number}", tenant=tenant, time=now(), user="ada@example.test", trace_id="0af7")


def requests_of(ledger: Ledger) -> int | None:
    """How many are counted; None before there are tables."""
    with contextlib.suppress(sqlite3.OperationalError):
        counted: int | None = in_database(ledger, SUMS)[0][0]
        return counted
    return None


def folder(ledger: Ledger) -> Path:
    return ledger.state / "erasures"


def erase(ledger: Ledger) -> Report:
    ask(ERASURE, folder(ledger))
    wait_until(lambda: reported("del_1", folder(ledger)), says=ledger.log)
    found = reported("del_1", folder(ledger))
    assert found
    return found


def tenants_of(path: Path) -> Counter[str]:
    return Counter(json.loads(line)["tenant"] for line in path.read_bytes().splitlines())


def bytes_below(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for one in folders for path in one.rglob("*") if path.is_file())


def test_everything_of_the_tenant_goes_and_all_sums_stay(ledger: Ledger, valkey: Redis, server: ValkeyServer) -> None:
    ledger.alive(E2)
    ledger.tables({"acme": LIMITS, "globex": LIMITS}, PRICE)
    ledger.start()
    wait_until(lambda: all(valkey.hkeys(base_of(LIMITS, tenant)) for tenant in ("acme", "globex")))
    reserved(valkey, E2, "acme-1", "acme-2", tenant="acme")
    reserved(valkey, E2, "globex-1", tenant="globex")
    others = [line_of(number, "globex") for number in range(50)]
    mine = [line_of(number) for number in range(50)]
    ledger.append(E1, b"".join(line for pair in zip(mine, others, strict=True) for line in pair))
    wait_until(lambda: requests_of(ledger) == 100)
    ledger.tables({"globex": LIMITS}, PRICE)
    before = in_database(ledger, SUMS)
    assert valkey.keys("hg:{acme}:*")

    done = erase(ledger)
    assert done.erased["spool"] == 50
    assert done.erased["usage"] >= 1
    assert done.erased["counters"] >= 1
    assert done.left == {"spool": 0, "usage": 0, "alerts": 0, "counters": 0}
    assert in_database(ledger, SUMS) == before
    theirs, globex = (in_database(ledger, f"{SUMS} WHERE tenant = '{name}'") for name in ("del_1", "globex"))
    assert theirs == globex
    assert not valkey.keys("hg:{acme}:*")
    assert open_slots(valkey, "globex") == {"globex-1"}
    files = server.socket.parent / "appendonlydir"
    wait_until(lambda: b"{acme}" not in bytes_below(files))
    assert b"{globex}" in bytes_below(files)

    rows = ledger.journal()
    assert Counter(row.tenant for row in rows) == {"del_1": 50, "globex": 50}
    assert {(row.key_id, row.user, row.trace_id) for row in rows if row.tenant == "del_1"} == {("", "", "")}
    assert {(row.key_id, row.user) for row in rows if row.tenant == "globex"} == {("ci", "ada@example.test")}
    assert sum(row.price_nano for row in rows) == before[0][3]

    (kept,) = ledger.spool.glob("*.ndjson")
    lines = kept.read_bytes().splitlines(keepends=True)
    assert lines[1::2] == others
    assert all(json.loads(line)["tenant"] == "del_1" for line in lines[::2])
    found = bytes_below(ledger.spool, ledger.state / "ledger")
    assert b'"acme"' not in found
    assert b"ada@example.test" in found  # of globex
    assert b"ada@example.test" not in b"".join(lines[::2])
    ledger.end()
    wal = ledger.state / "ledger/usage.db"
    assert b"acme" not in wal.read_bytes()


def test_a_ledger_that_is_killed_goes_on_and_counts_nothing_twice(ledger: Ledger) -> None:
    ledger.alive(E2)
    ledger.tables({}, PRICE)
    ledger.append(E1, b"".join(line_of(number, ("acme", "globex")[number % 2]) for number in range(4000)))
    ledger.start()
    wait_until(lambda: requests_of(ledger) == 4000)
    before = in_database(ledger, SUMS)
    ask(ERASURE, folder(ledger))
    kills = 0
    for pause_s in [random.uniform(0.0, 0.4) for _ in range(8)]:  # noqa: S311 - when to kill
        time.sleep(pause_s)
        kills += reported("del_1", folder(ledger)) is None
        ledger.kill()
        ledger.start()
    assert kills
    wait_until(lambda: reported("del_1", folder(ledger)), says=ledger.log)
    assert in_database(ledger, SUMS) == before
    rows = ledger.journal()
    assert Counter(row.tenant for row in rows) == {"del_1": 2000, "globex": 2000}
    assert len({row.request_id for row in rows}) == 4000
    assert in_database(ledger, "SELECT count(*) FROM usage_by_day WHERE tenant = 'acme'") == [(0,)]
    assert tenants_of(ledger.path(E1)) == {"del_1": 2000, "globex": 2000}
    assert not list(ledger.spool.glob(".scrubbed-*"))
    ledger.kill()
    ledger.start()
    time.sleep(1.5)
    assert in_database(ledger, SUMS) == before


def test_rows_that_wait_to_be_stored_are_nobodys(ledger: Ledger, valkey: Redis) -> None:
    """Those of estimates among them, also where their line comes later; and nothing is left in what was free."""
    ledger.alive(E1, E2)
    ledger.tables({"acme": LIMITS}, PRICE)
    ledger.start()
    wait_until(lambda: valkey.hkeys(base_of(LIMITS)))
    reserved(valkey, E1, "lost", "late", tenant="acme")
    ledger.append(E1, b"".join(map(line_of, range(3000))) + b"acme, or nobody\n")
    wait_until(lambda: requests_of(ledger) == 3000)
    ledger.alive(E2)
    wait_until(lambda: requests_of(ledger) == 3002)
    old = [bytes(data) for (data,) in in_database(ledger, "SELECT packed FROM journal")]
    (estimate,) = [row for row in ledger.journal() if row.request_id == "late"]
    assert (ledger.state / "ledger/quarantine.ndjson").exists()
    done = erase(ledger)
    assert done.erased["quarantine"] == 1
    assert done.left["usage"] == 0
    assert not (ledger.state / "ledger/quarantine.ndjson").exists()
    assert {row.tenant for row in ledger.journal()} == {"del_1"}
    ledger.append(E2, used_line("late", tenant="acme", time=now(), duration_ms=60_000))
    wait_until(lambda: len(ledger.journal()) == 3004)
    first, back, line = (row for row in ledger.journal() if row.request_id == "late")
    assert first == msgspec.structs.replace(estimate, tenant="del_1", key_id="")
    assert back == msgspec.structs.replace(first, sign=-1)
    assert (line.tenant, line.sign) == ("del_1", 1)
    found = bytes_below(ledger.state / "ledger")
    assert old
    assert not [data for data in old if data[20:60] in found]


def test_late_lines_are_the_deletions_and_a_new_tenant_of_that_name_is_another(ledger: Ledger) -> None:
    ledger.alive(E2)
    ledger.tables({}, PRICE)
    ledger.append(E1, line_of(1))
    ledger.start()
    erase(ledger)
    late = used_line("late", tenant="acme", time=now(), duration_ms=60_000, user="ada@example.test")
    ledger.append(E2, late)
    time.sleep(0.05)
    fresh = used_line("new", tenant="acme", time=now(-1), duration_ms=5)
    ledger.append(E2, fresh)
    by_tenant = "SELECT tenant, sum(requests) FROM usage_by_day GROUP BY tenant ORDER BY tenant"
    wait_until(lambda: in_database(ledger, by_tenant) == [("acme", 1), ("del_1", 2)], says=ledger.log)
    ledger.alive()  # that Envoy has ended, too
    wait_until(lambda: tenants_of(ledger.path(E2)) == {"acme": 1, "del_1": 1}, says=ledger.log)
    ledger.kill()
    ledger.start()
    assert in_database(ledger, by_tenant) == [("acme", 1), ("del_1", 2)]


def test_what_cannot_be_erased_yet_is_tried_until_it_can(ledger: Ledger, valkey: Redis) -> None:
    """The file of an Envoy that lives and does not set it aside."""
    ledger.alive(E1)
    ledger.tables({}, PRICE)
    valkey.set("hg:{acme}:responses", "x")
    ledger.append(E1, line_of(1))
    ledger.start()
    ask(ERASURE, folder(ledger))
    time.sleep(2.5)
    assert reported("del_1", folder(ledger)) is None
    ledger.alive(E2)
    wait_until(lambda: reported("del_1", folder(ledger)), says=ledger.log)
    assert not valkey.keys("hg:{acme}:*")


def test_the_files_between_control_and_ledger(tmp_path: Path) -> None:
    ask(ERASURE, tmp_path / "erasures")
    (tmp_path / "erasures/del_2.json").write_bytes(b"{")
    assert list(asked(tmp_path / "erasures")) == [ERASURE]
    assert reported("del_1", tmp_path / "erasures") is None
    done = Report("del_1", {"usage": 3}, {"usage": 0})
    report(done, tmp_path / "erasures")
    assert reported("del_1", tmp_path / "erasures") == done
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "erasures").glob("del_1*")} == {0o600}
    forget("del_1", tmp_path / "erasures")
    assert list(asked(tmp_path / "erasures")) == []
    assert reported("del_1", tmp_path / "erasures") is None


def test_messages_about_the_tenant_are_not_sent_any_more(tmp_path: Path) -> None:
    queue = AlertQueue(tmp_path / "alerts.db")
    limits = LimitsRow((LimitRow("rpm", 5, soft=3),))
    crossed = Alert("rpm", 0, 4, 3, 0)
    for tenant in ("acme", "globex"):
        queue.add([Entry(f"msg_{tenant}", time.time() + 60, msgspec.json.encode(event_of(tenant, crossed, limits)))])
    assert queue.erase(lambda body: tenant_of(body) == "acme") == ["msg_acme"]
    assert [message.id for message in queue.waiting()] == ["msg_globex"]
    queue.close()
    assert b'"tenant":"acme"' not in bytes_below(tmp_path)
    assert b'"tenant":"globex"' in bytes_below(tmp_path)
