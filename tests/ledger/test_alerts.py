"""Soft limits that were crossed: what is told, to whom, how often, and what happens when nobody wants to know."""

import asyncio
import datetime as dt
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter
from structlog.testing import capture_logs

from headgate import alert_metrics as metrics
from headgate.counters.calendar import window_of
from headgate.counters.settlement import Alert
from headgate.limits import NANO, LimitRow, LimitsRow, limit_name, user_name
from headgate.snapshot import AlertsRow, Snapshot, TenantRow
from ledger.alerting import alert_queue, alerts, webhook
from ledger.alerting.alert_queue import AlertQueue, Entry
from ledger.alerting.alerts import Alerts
from ledger.tables import Tables as LedgerTables
from tests.certificates import Authority
from tests.ledger.webhook_receiver import Receiver, listening, until, verified

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MONTHLY = LimitRow("monthly_usd", 50 * NANO, soft=40 * NANO)
LIMITS = LimitsRow(
    (
        MONTHLY,
        LimitRow("monthly_usd", 20 * NANO, soft=10 * NANO, models=("big", "huge")),
        LimitRow("daily_tokens", None, soft=1000, by=("user", "model")),
        LimitRow("rpm", 60, soft=50, by=("key",)),
    ),
    {"ci, key=x": (LimitRow("rpm", 5, soft=4, by=("key",)),)},
    anniversary=15,
)
BEGAN = dt.datetime(2026, 11, 15, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 21, 9, 0, 0, 120_000, tzinfo=dt.UTC)


def ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def crossed(name: str = "monthly_usd", **more: Any) -> Alert:
    told: dict[str, Any] = {"window_ms": ms(BEGAN), "used": 40_001_200_000, "soft": 40 * NANO, "time_ms": ms(NOW)}
    return Alert(name, **{**told, **more})


class Tables(LedgerTables):
    """The tables in use, with a receiver or without."""

    def __init__(self, receiver: Receiver | None = None) -> None:
        super().__init__()
        self.name(receiver)

    def name(self, receiver: Receiver | None) -> None:
        row = None
        if receiver:
            row = AlertsRow(receiver.url, f"secrets/alerts+{receiver.port}")
            Path(row.secret).write_text(receiver.secret)
        self.take(Snapshot(1, 0, 1, [], {"acme": TenantRow({}, LIMITS)}, {}, alerts=row))

    def forget_secret(self, receiver: Receiver) -> None:
        Path(f"secrets/alerts+{receiver.port}").unlink()


@asynccontextmanager
async def delivering(tables: Tables) -> AsyncIterator[Alerts]:
    """As in the ledger's process."""
    told = Alerts(tables)
    task = asyncio.create_task(told.run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])
        told.close()


@contextmanager
def queue() -> Iterator[AlertQueue]:
    opened = AlertQueue()
    try:
        yield opened
    finally:
        opened.close()


def value(counter: Counter, *labels: str) -> float:
    return float(counter.labels(*labels)._value.get())


def of_nobody(folder: Path) -> ssl.SSLContext:
    """A certificate for the right address, by an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority().issue("127.0.0.1").write(folder, "receiver"))
    return context


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory; retries come soon."""
    monkeypatch.chdir(tmp_path)
    for name in ("ledger", "secrets"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(alerts, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(alerts, "LONGEST_PAUSE_S", 0.02)
    return tmp_path


async def test_a_webhook_says_what_was_crossed_and_is_signed() -> None:
    async with listening(Receiver(SECRET)) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed()])
        await until(lambda: receiver.received)
    (one,) = receiver.received
    assert one.genuine
    assert one.headers["content-type"] == "application/json"
    assert one.event == {
        "type": "limit.soft_exceeded",
        "timestamp": "2026-11-21T09:00:00.120Z",
        "data": {
            "tenant": "acme",
            "limit": "monthly_usd",
            "scope": {},
            "unit": "usd",
            "used": "40.0012",
            "soft": "40",
            "cap": "50",
            "ceiling": None,
            "window": {"start": "2026-11-15T00:00:00.000Z", "end": "2026-12-15T00:00:00.000Z"},
            "resets_at": "2026-12-15T00:00:00.000Z",
        },
    }


async def test_the_page_refuses_what_is_not_genuine() -> None:
    async with listening(Receiver(SECRET)) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed()])
        await until(lambda: receiver.received)
    headers = receiver.received[0].headers
    assert not verified(SECRET, headers, b"{}")
    assert not verified("whsec_AAAA", headers, b"{}")
    assert not verified(SECRET, {**headers, "webhook-timestamp": "1"}, b"{}")


async def test_a_secret_that_is_no_base64_is_the_key_itself() -> None:
    async with listening(Receiver("just a few words")) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed()])
        await until(lambda: receiver.received)
    assert receiver.received[0].genuine


NAMES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "of models": (limit_name(LIMITS.limits[1]), {"models": ["big", "huge"]}, "20"),
    "of a user": (
        limit_name(LIMITS.limits[2], model="a,b", user=user_name("jo")),
        {"model": "a,b", "user": user_name("jo")},
        None,
    ),
    "of a key by the rule": (limit_name(LIMITS.limits[3], "dev"), {"key": "dev"}, 60),
    "of a key's own": (limit_name(LIMITS.limits[3], "ci, key=x"), {"key": "ci, key=x"}, 5),
    "gone by a reload": ("daily_requests:key=old", {}, None),
}


@pytest.mark.parametrize(("name", "scope", "cap"), NAMES.values(), ids=NAMES)
async def test_whose_limit_it_is(name: str, scope: dict[str, Any], cap: Any) -> None:
    async with listening(Receiver(SECRET)) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed(name, used=7, soft=4)])
        await until(lambda: receiver.received)
    data = receiver.received[0].event["data"]
    assert (data["scope"], data["cap"]) == (scope, cap)
    assert (data["resets_at"] is None) == (data["limit"] == "rpm")
    assert data["window"]["start"] == "2026-11-15T00:00:00.000Z"
    assert data["window"]["end"] == (data["resets_at"] or "2026-11-21T09:00:00.120Z")


async def test_once_per_limit_and_window_even_when_told_again() -> None:
    now, following = window_of("month", 15, round(time.time() * 1000))
    before = value(metrics.SOFT_LIMITS, "acme", "monthly_usd")
    async with listening(Receiver(SECRET)) as receiver:
        tables = Tables(receiver)
        async with delivering(tables) as told:
            await told.on_alerts("acme", [crossed(window_ms=now), crossed(window_ms=now, used=41 * NANO)])
            await until(lambda: receiver.received)
        async with delivering(tables) as told:  # the next process, with counters that were emptied
            await told.on_alerts("acme", [crossed(window_ms=now, used=42 * NANO)])
            await told.on_alerts("acme", [crossed(window_ms=following)])
            await told.on_alerts("other", [crossed(window_ms=now)])
            await until(lambda: len({one.id for one in receiver.received}) == 3)  # a slow answer is asked for again
    assert len({one.id for one in receiver.received}) == 3
    assert value(metrics.SOFT_LIMITS, "acme", "monthly_usd") == before + 2


async def test_without_a_receiver_it_is_a_log_line_and_a_metric() -> None:
    before = value(metrics.SOFT_LIMITS, "acme", "rpm")
    told_of = crossed("rpm:key=dev", used=51, soft=50, time_ms=round(time.time() * 1000))
    with capture_logs() as lines:
        async with delivering(Tables()) as told:
            await told.on_alerts("acme", [told_of])
            await told.on_alerts("acme", [told_of, crossed("a kind of another version")])
    said = {"event": "soft limit exceeded", "log_level": "warning", "tenant": "acme", "used": 51, "soft": 50}
    assert lines == [{**said, "limit": "rpm:key=dev"}]
    assert value(metrics.SOFT_LIMITS, "acme", "rpm") == before + 1
    with queue() as kept:
        assert kept.waiting() == []


async def test_failures_are_tried_again_with_the_same_id_and_redirects_not_followed() -> None:
    failed = value(metrics.WEBHOOKS, "failed")
    with capture_logs() as lines:
        async with (
            listening(Receiver(SECRET, [503, 307, 404, 200])) as receiver,
            delivering(Tables(receiver)) as told,
        ):
            await told.on_alerts("acme", [crossed()])
            await until(lambda: len(receiver.received) == 4)
            await until(lambda: not told._queue.waiting_count())
    assert len({one.id for one in receiver.received}) == 1
    assert all(one.genuine for one in receiver.received)
    assert receiver.elsewhere == 0
    assert value(metrics.WEBHOOKS, "failed") == failed + 3
    events = [line["event"] for line in lines]
    assert events.count("webhooks can't be delivered: they are tried again") == 1
    assert SECRET not in repr(lines)
    assert "/hook" not in repr(lines)


async def test_a_receiver_that_hangs_holds_up_no_other_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    async with listening(Receiver(SECRET, [0])) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed()])
        await until(lambda: receiver.received)
        await told.on_alerts("acme", [crossed("rpm:key=dev")])
        await until(lambda: len(receiver.received) == 3)
    first, second, third = (one.id for one in receiver.received)
    assert first == third != second


async def test_a_reload_names_another_receiver() -> None:
    """What waits goes there at once, signed anew; without any, it waits."""
    async with listening(Receiver(SECRET, [500] * 10_000)) as old, listening(Receiver("another secret")) as new:
        tables = Tables(old)
        async with delivering(tables) as told:
            await told.on_alerts("acme", [crossed()])
            await until(lambda: old.received)
            tables.name(None)
            await until(lambda: not told._under_way)
            tables.name(new)
            await until(lambda: new.received)
    assert new.received[0].genuine
    assert new.received[0].id == old.received[0].id


async def test_a_secret_that_is_not_there_is_waited_for() -> None:
    async with listening(Receiver(SECRET)) as receiver:
        tables = Tables(receiver)
        tables.forget_secret(receiver)
        with capture_logs() as lines:
            async with delivering(tables) as told:
                await told.on_alerts("acme", [crossed()])
                await until(lambda: any(line.get("reason") == "the secret can't be read" for line in lines))
                assert not receiver.received
                tables.name(receiver)
                await until(lambda: receiver.received)
    assert receiver.received[0].genuine


async def test_nothing_is_told_to_whom_tls_does_not_know(state: Path) -> None:
    async with listening(Receiver(SECRET), of_nobody(state)) as receiver:
        with capture_logs() as lines:
            async with delivering(Tables(receiver)) as told:
                await told.on_alerts("acme", [crossed()])
                await until(lambda: any("Certificate" in str(line.get("reason")) for line in lines))
        assert not receiver.received


async def test_after_a_day_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    before = value(metrics.WEBHOOKS, "given_up")
    monkeypatch.setattr(alerts, "GIVE_UP_S", 0.2)
    with capture_logs() as lines:
        async with listening(Receiver(SECRET, [500] * 10_000)) as receiver, delivering(Tables(receiver)) as told:
            await told.on_alerts("acme", [crossed()])
            await until(lambda: value(metrics.WEBHOOKS, "given_up") == before + 1)
            await until(lambda: not told._queue.waiting_count())
    given_up = [line for line in lines if line["event"] == "webhook given up"]
    assert [line["webhook_id"] for line in given_up] == [receiver.received[0].id]


def entries(number: int, forget_s: float = 1e12) -> list[Entry]:
    return [Entry(f"msg_{at}", forget_s, b"{}") for at in range(number)]


def test_no_more_wait_than_may() -> None:
    with queue() as kept:
        new, dropped = kept.add(entries(alert_queue.MOST_WAITING + 5))
        assert (len(new), dropped, kept.waiting_count()) == (
            alert_queue.MOST_WAITING + 5,
            5,
            alert_queue.MOST_WAITING,
        )
        assert kept.add(entries(alert_queue.MOST_WAITING + 5)) == ([], 0)
        kept.finish("msg_0")
        assert kept.add([Entry("msg_new", 1e12, b"{}")]) == (["msg_new"], 0)


def test_what_was_told_is_forgotten_when_its_window_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_queue, "MOST_REMEMBERED", 3)
    with queue() as kept:
        kept.add(entries(2, forget_s=1.0))
        assert kept.add(entries(2)) == ([], 0)  # they wait still
        for at in range(2):
            kept.finish(f"msg_{at}")
        assert kept.add(entries(2))[0] == ["msg_0", "msg_1"]
        kept.add([Entry(f"told_{at}", 2e12 + at, None) for at in range(10)])
        kept.add([])
        assert kept.add([Entry(f"told_{at}", 2e12 + at, None) for at in range(10)])[0] == [
            f"told_{at}" for at in range(7)
        ]


def test_a_broken_file_is_set_aside(state: Path) -> None:
    (state / alert_queue.ALERTS_DB).write_bytes(b"no database at all" * 1000)
    with queue() as kept:
        kept.add(entries(1))
    with queue() as kept:
        assert [one.id for one in kept.waiting()] == ["msg_0"]
    assert (state / "ledger/alerts.db.broken").read_bytes().startswith(b"no database")


async def test_without_a_disk_alerts_are_delivered_all_the_same(state: Path) -> None:
    (state / alert_queue.ALERTS_DB).mkdir()
    async with listening(Receiver(SECRET)) as receiver, delivering(Tables(receiver)) as told:
        await told.on_alerts("acme", [crossed()])
        await until(lambda: receiver.received)


async def test_a_file_that_can_not_be_written_ends_nothing(state: Path) -> None:
    with capture_logs() as lines:
        async with delivering(Tables()) as told:
            with sqlite3.connect(state / alert_queue.ALERTS_DB) as other:
                other.execute("DROP TABLE message")
            other.close()
            await told.on_alerts("acme", [crossed()])
    assert [line["event"] for line in lines][-2:] == ["alerts can't be queued", "soft limit exceeded"]


async def test_a_file_that_is_locked_holds_up_nobody_else(state: Path) -> None:
    with capture_logs() as lines:
        async with delivering(Tables()) as told:
            with sqlite3.connect(state / alert_queue.ALERTS_DB, isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                waits = asyncio.create_task(told.on_alerts("acme", [crossed()]))
                await asyncio.sleep(0.01)
                assert not waits.done()
                other.execute("ROLLBACK")
            other.close()
            await waits
    assert [line["event"] for line in lines] == ["soft limit exceeded"]
