"""What has ended is booked, once, when its last day is known as a whole; and what workers are told meanwhile."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databases import Database
from rows import ADMIN
from structlog.testing import capture_logs

from control.credits.booking import book, ms_of
from control.credits.ending import LATER, Endings
from control.invoices.checked import UsageHere
from control.invoices.months import LATEST
from control.invoices.standing import note
from control.store.audit_log import verify_log
from control.store.credits import CreditEntry, entries_of, find_account
from control.store.hosts import list_hosts, note_host, note_usage
from control.store.store import Store
from control.store.usage_gateways import UsageGateway, put_usage_gateway
from control.store.values import CreditAccount, Host
from headgate.usage_client import UsageAway
from headgate.usage_questions import Mark
from tests.control.usage_of_rows import answer, asked_of, marks_of, row

BOOKED = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)
LAST = dt.date(2026, 10, 10)
MIDNIGHT = dt.datetime(2026, 10, 11, tzinfo=dt.UTC)
KNOWN = MIDNIGHT + LATEST
PLACE = "at store"
ROWS = [
    row("acme", "2026-10-02T00:00:00Z", price_nano=30),
    row("acme", "2026-10-10T23:59:59Z", price_nano=8),
    row("acme", "2026-10-11T00:00:00Z", price_nano=50),
    row("other", "2026-10-02T00:00:00Z", price_nano=10**6),
]


class Clocked:
    """A store whose clock is the test's."""

    def __init__(self, store: Store) -> None:
        self.now = BOOKED
        self.stored: list[Mark] = []  # marks that the usage store has
        self.store = Store(store.engine, clock=lambda: self.now)

    def book(self, amount: int, tenant: str = "acme", kind: Any = "granted", **more: Any) -> CreditEntry:
        with self.store.write(ADMIN) as unit:
            return book(unit, CreditEntry(customer=tenant, kind=kind, amount_nano=amount, created_by="x", **more))

    def endings(self, ask: Any = None) -> Endings:
        here = UsageHere(ask or self.ask, lambda asked: marks_of(self.stored)(asked), "host_here", PLACE)
        return Endings(self.store, lambda: here)

    def ask(self, question: Any) -> Any:
        """All rows that there are by now, and all that has ended by now is stored."""
        there = [one for one in ROWS if one.ended_ms <= ms_of(self.now)]
        return answer(there, question, ms_of(self.now))

    def work(self, at: dt.datetime, ask: Any = None) -> int:
        self.now = at
        return self.endings(ask).work(at)

    def amounts(self, tenant: str = "acme") -> list[tuple[str, int]]:
        with self.store.read() as reader:
            return [(one.kind, one.amount_nano) for one in entries_of(reader, tenant)]

    def account(self) -> CreditAccount:
        with self.store.read() as reader:
            found = find_account(reader, "acme")
        assert found
        return found


@pytest.fixture
def clocked(store: Store) -> Clocked:
    return Clocked(store)


def test_what_is_left_is_booked_when_the_day_is_known(clocked: Clocked) -> None:
    clocked.book(100, expires_on=LAST)
    clocked.book(10, kind="prepaid")
    for early in (BOOKED, MIDNIGHT, KNOWN - dt.timedelta(milliseconds=1)):
        assert clocked.work(early) == 0
    assert clocked.work(KNOWN) == 1
    assert clocked.amounts() == [("granted", 100), ("prepaid", 10), ("expired", -62)]
    assert (clocked.account().booked_nano, clocked.account().ending) == (48, ())
    assert clocked.work(KNOWN + LATEST) == 0
    with clocked.store.read() as reader:
        assert verify_log(reader).bad is None


def test_an_end_of_which_nothing_is_left_is_booked_too(clocked: Clocked) -> None:
    clocked.book(38, expires_on=LAST)
    assert clocked.work(KNOWN) == 1
    assert clocked.amounts() == [("granted", 38), ("expired", 0)]
    assert clocked.account().ending == ()


def test_several_ends_at_once(clocked: Clocked) -> None:
    """After a time in which nobody has booked them."""
    clocked.book(20, expires_on=dt.date(2026, 10, 5))
    clocked.book(20, expires_on=LAST)
    clocked.book(7, expires_on=LAST)
    clocked.book(90, "other", expires_on=dt.date(2026, 10, 5))
    assert clocked.work(KNOWN) == 4
    assert clocked.amounts()[3:] == [("expired", 0), ("expired", -2), ("expired", -7)]
    assert clocked.amounts("other")[1:] == [("expired", 0)]


def test_workers_know_near_the_end_how_much_is_left(clocked: Clocked) -> None:
    clocked.book(100, expires_on=LAST)
    whole = ((ms_of(MIDNIGHT), 100),)
    assert clocked.account().ending == whole
    clocked.work(MIDNIGHT - dt.timedelta(hours=1))
    assert clocked.account().ending == whole, "there is time"
    clocked.work(MIDNIGHT - dt.timedelta(minutes=1))
    assert clocked.account().ending == ((ms_of(MIDNIGHT), 70),)
    clocked.work(MIDNIGHT + dt.timedelta(minutes=1))
    assert clocked.account().ending == ((ms_of(MIDNIGHT), 62),), "with the use of the last hour"
    told = clocked.account()
    clocked.work(MIDNIGHT + dt.timedelta(minutes=2))
    assert clocked.account() == told, "nothing is written where nothing changes"
    clocked.book(5, expires_on=dt.date(2026, 10, 20))
    assert clocked.account().ending[0] == (ms_of(MIDNIGHT), 62)


def test_a_booking_before_the_end_makes_room_again(clocked: Clocked) -> None:
    """What is booked on the last day may be used in the place of what was told to be used up."""
    clocked.book(100, kind="prepaid", expires_on=LAST)
    clocked.work(MIDNIGHT - dt.timedelta(minutes=1))
    assert clocked.account().ending == ((ms_of(MIDNIGHT), 70),)
    clocked.book(40, expires_on=LAST)
    assert clocked.account().ending == ((ms_of(MIDNIGHT), 140),)


def test_every_host_has_to_have_said_what_it_has(clocked: Clocked) -> None:
    clocked.book(100, expires_on=LAST)
    with clocked.store.write_aside() as writer:
        note_host(writer, Host(id="host_there", name="there"))
    assert clocked.work(KNOWN) == 0
    with clocked.store.write_aside() as writer:
        note_usage(writer, "host_there", PLACE, KNOWN - dt.timedelta(milliseconds=1), KNOWN)
    assert clocked.work(KNOWN) == 0
    with clocked.store.write_aside() as writer:
        note_usage(writer, "host_there", PLACE, KNOWN, KNOWN)
    assert clocked.work(KNOWN) == 1
    behind = ms_of(KNOWN) - 1
    clocked.book(1, expires_on=dt.date(2026, 10, 20))
    assert clocked.work(KNOWN + dt.timedelta(days=30), asked_of(ROWS, behind)) == 0


def test_a_host_says_day_by_day_how_far_it_is_while_credits_end(clocked: Clocked) -> None:
    with clocked.store.write_aside() as writer:
        note_host(writer, Host(id="host_here", name="here"))

    def said() -> dt.datetime | None:
        note(clocked.store, clocked.ask, "host_here", PLACE, clocked.now)
        with clocked.store.read() as reader:
            return list_hosts(reader)[0].usage_until

    clocked.now = KNOWN
    assert said() == KNOWN
    clocked.now = KNOWN + dt.timedelta(days=3)
    assert said() == KNOWN, "the last month is complete, and nothing ends"
    clocked.book(1, expires_on=clocked.now.date())
    assert said() == clocked.now


def test_without_the_usage_store_ends_wait(clocked: Clocked) -> None:
    def away(_: Any) -> Any:
        raise UsageAway("the usage store does not answer")

    clocked.book(100, expires_on=LAST)
    assert clocked.work(KNOWN, away) == 0
    assert clocked.work(KNOWN) == 1


def test_of_a_usage_store_that_invoices_refuse_nothing_is_booked(clocked: Clocked) -> None:
    """It was put back or made anew, or has another database's usage of that month."""
    clocked.book(100, expires_on=LAST)
    mark = Mark(gateway="here", run=5, month=202610, batch=7)
    with clocked.store.write_aside() as writer:
        put_usage_gateway(writer, UsageGateway(id="here", host_id="host_here", place=PLACE, run=5, batch=7), BOOKED)
    clocked.stored = [mark, Mark(gateway="theirs", run=1, month=202610, batch=1)]
    assert clocked.work(KNOWN) == 0, "another database's"
    clocked.stored = [Mark(gateway="here", run=8, month=202610, batch=9)]
    assert clocked.work(KNOWN) == 0, "less than it had"
    assert clocked.amounts() == [("granted", 100)]
    clocked.stored = [mark, Mark(gateway="theirs", run=1, month=202611, batch=1)]
    assert clocked.work(KNOWN) == 1, "what others have of other months is no matter"


def test_why_nothing_is_booked_is_said_once_for_all_accounts_and_not_each_minute(clocked: Clocked) -> None:
    clocked.stored = [Mark(gateway="theirs", run=1, month=202610, batch=1)]
    for tenant in ("acme", "other"):
        clocked.book(100, tenant, expires_on=LAST)
        clocked.book(100, tenant, expires_on=dt.date(2026, 10, 11))  # its midnight is near, and looked at each minute
    endings, near = clocked.endings(), MIDNIGHT + dt.timedelta(days=1)

    def said(minute: int) -> list[str]:
        clocked.now = near + LATEST - dt.timedelta(days=1) + dt.timedelta(minutes=minute)
        with capture_logs() as logs:
            assert endings.work(clocked.now) == 0
        return [line["reason"] for line in logs if line["event"] == "ends of credits are not booked"]

    (reason,) = said(0)
    assert ": theirs; give" in reason
    assert [said(minute) for minute in range(1, 10)] == [[]] * 9
    assert said(int(LATER / dt.timedelta(minutes=1))) == [reason]


def test_two_hosts_at_once_book_an_end_once(clocked: Clocked, migrated: Database) -> None:
    for number in range(6):
        clocked.book(100, f"t{number}", expires_on=LAST)
    clocked.now = KNOWN
    here = UsageHere(asked_of([], ms_of(KNOWN)), marks_of(()), "host_here", PLACE)
    with migrated.engine() as one, migrated.engine() as two:
        works = [Endings(Store(engine, clock=lambda: clocked.now), lambda: here) for engine in (one, two)]
        with ThreadPoolExecutor(2) as threads:
            booked = list(threads.map(lambda work: work.work(KNOWN), works))
    assert sum(booked) == 6
    assert all(clocked.amounts(f"t{number}") == [("granted", 100), ("expired", -100)] for number in range(6))


def test_what_is_booked_while_the_store_is_asked_takes_nothing_from_the_end(clocked: Clocked) -> None:
    clocked.book(100, expires_on=LAST)
    clocked.now = KNOWN

    def ask(question: Any) -> Any:
        if question.width == "day" and len(clocked.amounts()) == 1:
            clocked.book(5, expires_on=KNOWN.date())
        return clocked.ask(question)

    assert clocked.endings(ask).work(KNOWN) == 1
    assert clocked.amounts() == [("granted", 100), ("granted", 5), ("expired", -62)]
    day_after = dt.datetime(2026, 10, 13, tzinfo=dt.UTC)
    assert clocked.account().ending == ((ms_of(day_after), 0),), "it pays for what was used when there was nothing"
