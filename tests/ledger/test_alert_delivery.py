"""From a soft limit that a request crosses to its webhook, through a ledger that is killed on the way."""

import asyncio
import datetime as dt
import socket
import sqlite3
from pathlib import Path

from redis import Redis

from headgate.counters.limits import TenantLimits
from headgate.limits import LimitRow, LimitsRow
from headgate.snapshot import AlertsRow
from tests.ledger.ledger_process import Ledger, end_line, reserve, wait_until
from tests.ledger.limited_tenant import LIMITS, write_tables
from tests.ledger.webhook_receiver import Receiver, listening, until

EPOCH = "20260101T000000-aaaaaa"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET_FILE = "secrets/alerts+0123456789"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def waiting(state: Path) -> int:
    with sqlite3.connect(f"file:{state}/ledger/alerts.db?mode=ro", uri=True) as database:
        found = database.execute("SELECT count(*) FROM message WHERE body IS NOT NULL").fetchone()[0]
    database.close()
    return int(found)


def prepare(ledger: Ledger, receiver: Receiver, limits: LimitsRow = LIMITS) -> None:
    secret = ledger.state / SECRET_FILE
    secret.parent.mkdir(exist_ok=True)
    secret.write_text(receiver.secret)
    write_tables(ledger, AlertsRow(receiver.url, SECRET_FILE), limits)


def ended(request_id: str, **more: int) -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return end_line(request_id, key_id="ci", status=200, attempts=1, completion_tokens=5, time=now, **more)


def cross(ledger: Ledger, valkey: Redis, *request_ids: str) -> None:
    """Three requests: one more than `rpm` has as its soft limit."""
    reserve(valkey, EPOCH, *request_ids, key_id="ci", limits=LIMITS, input=10, output=10)
    lines = (ended(request_id, prompt_tokens=10) for request_id in request_ids)
    ledger.append(EPOCH, b"".join(lines))


async def test_a_ledger_that_is_killed_before_it_could_deliver(ledger: Ledger, valkey: Redis) -> None:
    receiver = Receiver(SECRET, port=free_port())
    prepare(ledger, receiver)
    ledger.alive(EPOCH)
    await asyncio.to_thread(ledger.start)
    await asyncio.to_thread(cross, ledger, valkey, "a", "b", "c")
    await asyncio.to_thread(wait_until, lambda: waiting(ledger.state) == 1)
    ledger.kill()
    async with listening(receiver):
        await asyncio.to_thread(ledger.start)
        await until(lambda: receiver.received)
        await asyncio.to_thread(wait_until, lambda: waiting(ledger.state) == 0)
    (one,) = receiver.received
    assert one.genuine
    assert (one.event["data"]["limit"], one.event["data"]["soft"]) == ("rpm", 2)
    assert SECRET not in ledger.log()
    assert receiver.url not in ledger.log()


async def test_a_ledger_that_is_killed_while_it_delivers_says_it_again_with_the_same_id(
    ledger: Ledger, valkey: Redis
) -> None:
    receiver = Receiver(SECRET, [503, 0])
    async with listening(receiver):
        prepare(ledger, receiver)
        ledger.alive(EPOCH)
        await asyncio.to_thread(ledger.start)
        await asyncio.to_thread(cross, ledger, valkey, "a", "b", "c")
        await until(lambda: len(receiver.received) == 2)
        ledger.kill()
        await asyncio.to_thread(ledger.start)
        await asyncio.to_thread(wait_until, lambda: waiting(ledger.state) == 0)
    assert len(receiver.received) == 3
    assert len({one.id for one in receiver.received}) == 1
    assert len(ledger.logged("soft limit exceeded")) == 1


async def test_a_window_that_was_told_of_is_not_told_again_when_the_counters_are_lost(
    ledger: Ledger, valkey: Redis
) -> None:
    receiver = Receiver(SECRET)
    async with listening(receiver):
        prepare(ledger, receiver)
        ledger.alive(EPOCH)
        await asyncio.to_thread(ledger.start)
        ledger.append(EPOCH, ended("a", prompt_tokens=6_000))  # over the soft limit of monthly_tokens
        await until(lambda: receiver.received)
        valkey.flushall()
        await asyncio.to_thread(wait_until, lambda: valkey.exists(TenantLimits("acme", LIMITS).base_key))
        ledger.append(EPOCH, ended("b", prompt_tokens=6_000))
        await asyncio.to_thread(wait_until, lambda: ledger.says().get("end") == 2)
        await asyncio.to_thread(wait_until, lambda: valkey.exists("hg:{acme}:r:b"))
        await asyncio.to_thread(ledger.end)
    kinds = [one.event["data"]["limit"] for one in receiver.received]
    assert kinds == ["monthly_tokens"]
    assert receiver.received[0].event["data"]["scope"] == {}


async def test_a_tenant_whose_requests_have_nothing_else_to_settle(ledger: Ledger, valkey: Redis) -> None:
    limits = LimitsRow((LimitRow("rpm", 60, soft=2),))
    receiver = Receiver(SECRET)
    async with listening(receiver):
        prepare(ledger, receiver, limits)
        ledger.alive(EPOCH)
        await asyncio.to_thread(ledger.start)
        await asyncio.to_thread(reserve, valkey, EPOCH, "a", "b", "c", key_id="ci", limits=limits)
        settles = TenantLimits("acme", limits).applying("ci", "chat", "").settles  # as the limiter says
        ledger.append(EPOCH, b"".join(ended(one, reserved=settles) for one in "abc"))
        await until(lambda: receiver.received)
    assert receiver.received[0].event["data"]["limit"] == "rpm"
