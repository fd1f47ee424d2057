"""An account of credits in the ledger: what was charged since it began is known for ever, and in the counters."""

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from headgate.commands.limits import print_usage
from headgate.counters.address import parsed
from headgate.counters.client import Counters
from headgate.counters.limits import TenantLimits
from headgate.credits import CreditsRow, Ending
from headgate.directory.following import Following
from headgate.directory.rows import Mark
from headgate.directory.writer import Writer
from headgate.limits import NANO, LimitRow, LimitsRow
from headgate.snapshot import AlertsRow, Snapshot, TenantRow
from ledger.settling.usage import NOT_KEPT_APART, Amounts, Entry, Where
from ledger.settling.usage_store import KEPT_DAYS, UsageStore
from ledger.showing.queries import Queries
from ledger.tables import Tables
from tests.counters.valkey_server import ValkeyServer
from tests.ledger.ledger_process import Ledger, open_slots, reserve, stands, wait_until
from tests.ledger.limited_tenant import write_tables
from tests.ledger.spending import E1, PRICE, WISH, used_line
from tests.ledger.webhook_receiver import Receiver, listening, until

DAY_MS = 86_400_000
TODAY = int(time.time() * 1000) // DAY_MS
ROW = LimitsRow((LimitRow("credits", None, floor=0, low=NANO),))
ACCOUNT = CreditsRow(TODAY - 1, 5 * NANO)
EACH = 450_000  # nano-USD of a `used_line`
SECRET, SECRET_FILE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secrets/alerts+0123456789"


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "usage.db")


def charge(store: UsageStore, day: int, nano: int, tenant: str = "acme") -> None:
    """On a day of any age, by two keys."""
    for key in ("ci", "web"):
        store.count(
            {}, [Entry(f"{tenant}{day}{key}", Where(tenant, TODAY, key, "chat", "-"), Amounts(1, 1, 1, nano))]
        )
    with sqlite3.connect(store._path) as db:
        db.execute("UPDATE usage_by_day SET day = ? WHERE tenant = ? AND day = ?", (day, tenant, TODAY))
    db.close()


def test_what_was_charged_before_the_rows_that_are_kept_still_counts(store: UsageStore) -> None:
    old = TODAY - KEPT_DAYS - 1
    for day, nano in ((old - 400, 1), (old - 5, 10), (old, 100), (TODAY - 3, 1000)):
        charge(store, day, nano)
    assert store.charged_since("acme", old - 5)[1] == 2220
    assert store.prune([]) == 6
    assert store.charged_since("acme", old - 5)[1] == 2220
    assert store.charged_since("acme", old - 400)[1] == 2222
    assert store.charged_since("acme", TODAY - 3)[1] == 2000
    charge(store, old - 5, 7)  # as by an older copy of the file: it is added
    store.prune([])
    assert store.charged_since("acme", old - 5)[1] == 2234


def test_of_tenants_without_an_account_nothing_is_kept_for_ever(store: UsageStore) -> None:
    old = TODAY - KEPT_DAYS - 1
    for tenant in ("acme", "globex", "provider/openai"):
        charge(store, old, 5, tenant)
    assert sorted(store.old_tenants()) == ["acme", "globex", "provider/openai"]
    store.prune([], 0.0, {"globex", "provider/openai"})
    assert [store.charged_since(tenant, 0)[1] for tenant in ("acme", "globex", "provider/openai")] == [10, 0, 0]
    assert store.erase("acme", "gone") == 1
    assert store.charged_since("acme", 0)[1] == store.rows_of("acme") == 0


def test_a_database_of_the_version_before_is_brought_up_with_what_is_in_it(store: UsageStore) -> None:
    charge(store, TODAY - KEPT_DAYS - 1, 5)
    store.close()
    with sqlite3.connect(store._path) as db:
        db.execute("DROP TABLE charged_before")
        db.execute("PRAGMA user_version = 3")
    db.close()
    store.prune([])
    assert store.charged_since("acme", 0)[1] == 10
    assert store.read("PRAGMA user_version") == [(4,)]


def test_who_may_have_an_account(tmp_path: Path) -> None:
    following = Following(tmp_path)
    tables = Tables(following)
    assert tables.may_have_account("acme")  # nobody knows yet
    rows = {"acme": TenantRow({}, None, credits=ACCOUNT), "globex": TenantRow({}, ROW)}
    tables.take(Snapshot(1, 0, 1, [], rows, {}))
    known = ("acme", "globex", "gone", "provider/openai")
    assert [tables.may_have_account(name) for name in known] == [True, True, True, False]
    writer = Writer(tmp_path)
    assert writer.open()
    writer.replace(Mark(1, 1, bytes(32)), [])
    following.catch_up()
    assert [tables.may_have_account(name) for name in known] == [True, False, True, False]


def spent(valkey: Redis, account: CreditsRow = ACCOUNT) -> tuple[int, int]:
    return stands(valkey, ROW, account=account)["credits"]


def start(ledger: Ledger, valkey: Redis, account: CreditsRow = ACCOUNT) -> None:
    ledger.alive(E1)
    ledger.tables({"acme": ROW}, PRICE, accounts={"acme": account})
    ledger.start()
    wait_until(lambda: is_known(valkey, account))


def is_known(valkey: Redis, account: CreditsRow) -> bool:
    return bool(valkey.hkeys(TenantLimits("acme", ROW, account).base_key))


def test_what_was_used_counts_whatever_is_killed_or_lost(ledger: Ledger, valkey: Redis) -> None:
    start(ledger, valkey)
    reserve(valkey, E1, "a", "b", limits=ROW, account=ACCOUNT, **WISH)
    assert spent(valkey) == (0, 2 * 7_500_000)
    ledger.append(E1, used_line("a"))
    wait_until(lambda: spent(valkey) == (EACH, 7_500_000))
    valkey.flushall()
    wait_until(lambda: is_known(valkey, ACCOUNT))
    assert spent(valkey) == (EACH, 0)
    ledger.append(E1, used_line("b"))
    wait_until(lambda: spent(valkey) == (2 * EACH, 0))
    ledger.kill()
    valkey.flushall()
    ledger.append(E1, used_line("c", reserved=None))
    ledger.start()
    wait_until(lambda: is_known(valkey, ACCOUNT) and spent(valkey) == (3 * EACH, 0))


def test_what_was_used_before_the_account_began_does_not_count(ledger: Ledger, valkey: Redis) -> None:
    today = CreditsRow(TODAY, 5 * NANO)
    start(ledger, valkey, today)
    yesterday = time.strftime("%Y-%m-%dT12:00:00.000Z", time.gmtime((TODAY - 1) * 86_400))
    ledger.append(E1, used_line("old", time=yesterday, duration_ms=5) + used_line("new"))
    wait_until(lambda: spent(valkey, today) == (EACH, 0))
    ledger.tables({"acme": ROW}, PRICE, accounts={"acme": ACCOUNT})
    wait_until(lambda: is_known(valkey, ACCOUNT))
    assert spent(valkey, ACCOUNT) == (2 * EACH, 0)
    valkey.flushall()
    wait_until(lambda: is_known(valkey, ACCOUNT) and spent(valkey) == (2 * EACH, 0))


def test_a_booking_forgets_nothing_and_makes_nothing_unknown(ledger: Ledger, valkey: Redis) -> None:
    start(ledger, valkey)
    ledger.append(E1, used_line("a", reserved=None))
    wait_until(lambda: spent(valkey) == (EACH, 0))
    more = CreditsRow(ACCOUNT.since_day, 50 * NANO, (Ending((TODAY + 9) * DAY_MS, NANO),))
    assert is_known(valkey, more)
    ledger.tables({"acme": ROW}, PRICE, accounts={"acme": more})
    ledger.append(E1, used_line("b", reserved=None))
    wait_until(lambda: spent(valkey, more) == (2 * EACH, 0))
    assert open_slots(valkey) == set()


def test_old_rows_count_in_the_counters_too(ledger: Ledger, valkey: Redis) -> None:
    account = CreditsRow(TODAY - 500, 5 * NANO)
    (ledger.state / "ledger").mkdir()
    store = UsageStore(ledger.state / "ledger/usage.db")
    for day, nano in ((TODAY - 501, 3), (TODAY - 500, 50), (TODAY - KEPT_DAYS - 1, 700)):
        charge(store, day, nano)
    store.close()
    ledger.append(E1, used_line("a", reserved=None))
    start(ledger, valkey, account)
    wait_until(lambda: spent(valkey, account) == (1500 + EACH, 0))
    ledger.kill()
    assert store.prune([]) == 6
    store.close()
    valkey.flushall()
    ledger.start()
    wait_until(lambda: is_known(valkey, account) and spent(valkey, account) == (1500 + EACH, 0))


async def test_low_is_told_once_until_credits_have_come(ledger: Ledger, valkey: Redis) -> None:
    receiver = Receiver(SECRET)
    secret = ledger.state / SECRET_FILE
    secret.parent.mkdir(exist_ok=True)
    secret.write_text(SECRET)
    limits = LimitsRow((LimitRow("credits", None, floor=-NANO, low=2 * EACH),))

    def book(booked: int) -> CreditsRow:
        account = CreditsRow(TODAY, booked)
        write_tables(ledger, AlertsRow(receiver.url, SECRET_FILE), limits, account)
        return account

    def spend(name: str, account: CreditsRow) -> None:
        reserve(valkey, E1, name, key_id="ci", limits=limits, account=account, **WISH)
        before = stands(valkey, limits, account=account)["credits"][0]
        ledger.append(E1, used_line(name))
        wait_until(lambda: stands(valkey, limits, account=account)["credits"] == (before + EACH, 0))

    async with listening(receiver):
        ledger.alive(E1)
        account = book(4 * EACH)
        await asyncio.to_thread(ledger.start)
        await asyncio.to_thread(wait_until, lambda: valkey.hkeys(TenantLimits("acme", limits, account).base_key))
        for name in "abcd":
            await asyncio.to_thread(spend, name, account)
        await until(lambda: receiver.received)
        account = book(8 * EACH)
        for name in "efg":
            await asyncio.to_thread(spend, name, account)
        await until(lambda: len(receiver.received) == 2)
    assert [one.event["type"] for one in receiver.received] == ["credits.low"] * 2
    assert [one.event["data"] for one in receiver.received] == [
        {"tenant": "acme", "balance": "0.00045", "low": "0.0009", "floor": "-1"}
    ] * 2
    assert all(one.genuine for one in receiver.received)
    assert [line["balance"] for line in ledger.logged("credits are low")] == ["0.00045"] * 2


async def test_how_an_account_stands_is_told(
    valkey: Redis, server: ValkeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    counters, tables = Counters(parsed(f"unix://{server.socket}"), 5.0), Tables()
    counters.start()
    limits = LimitsRow((LimitRow("credits", None, floor=-NANO, low=NANO),))
    account = CreditsRow(20_000, 5 * NANO, (Ending(int(time.time() * 1000) - 5, NANO),))
    rows = {"acme": TenantRow({}, limits, credits=account), "globex": TenantRow({}, limits)}
    tables.take(Snapshot(1, 0, 1, [], rows, {}))
    valkey.hset(TenantLimits("acme", limits, account).base_key, "g", 1)
    reserve(valkey, E1, "a", limits=limits, account=account, fixed_nano=NANO // 4)
    queries = Queries(tables, counters)
    try:
        answers = [await answer_of(queries, tenant) for tenant in rows]
    finally:
        await counters.close()
    (told, without) = (answer["limits"][0] for answer in answers)
    amounts = {"used": "0", "reserved": "0.25", "cap": "5", "soft": "3", "left": "4.75"}
    assert {name: told[name] for name in amounts} == amounts
    assert told["account"] == {"balance": "4", "floor": "-1", "low": "1", "since": "2024-10-04"}
    assert (told["resets_at"], told["limit"]) == (None, "credits")
    assert without["account"] == {"balance": "0", "floor": "-1", "low": "1", "since": None}
    assert (without["left"], without["cap"]) == ("0", "0")
    for answer in answers:
        print_usage(answer, None)
    shown = capsys.readouterr().out
    assert "balance $4.00, warns below $1.00, floor -$1.00" in shown
    assert "no account" in shown


async def answer_of(queries: Queries, tenant: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await queries.answer(json.dumps({"tenant": tenant}).encode()))
    return found


def test_users_are_no_matter_of_an_account() -> None:
    (limit,) = TenantLimits("acme", ROW, ACCOUNT).applying_to("ci", "chat", NOT_KEPT_APART).limits
    assert (limit.user, limit.name) == ("", "credits")
