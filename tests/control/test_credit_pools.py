"""Which credits use takes, what ends, and that nothing is lost or made on the way."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from control.credits.accounts import account_of, lowered
from control.credits.days import DAY_MS, date_of
from control.credits.months import month_of_credits
from control.credits.pools import replayed
from control.invoices.months import month_of
from control.store.credits import CreditEntry
from headgate.credits import CreditsRow, Ending

OCTOBER = month_of("2026-10")
FIRST = OCTOBER.first_day  # 2026-10-01
TENANT = {"customer": "acme", "created_by": "key:admin"}


def entry(kind: Any, amount: int, day: int = 0, last: int | None = None, **more: Any) -> CreditEntry:
    """Booked on day so many of October, from 0 on; usable up to day `last`."""
    at = dt.datetime.fromtimestamp((FIRST + day) * 86_400 + 3600, dt.UTC)
    expires_on = None if last is None else date_of(FIRST + last)
    return CreditEntry(kind=kind, amount_nano=amount, created_at=at, expires_on=expires_on, **TENANT, **more)


def numbered(*entries: CreditEntry) -> tuple[CreditEntry, ...]:
    return tuple(replace(one, seq=number) for number, one in enumerate(entries, 1))


def left(entries: Sequence[CreditEntry], used: Mapping[int, int], through: int = 40) -> dict[int, int]:
    standing = replayed(entries, {FIRST + day: amount for day, amount in used.items()}, FIRST + through)
    return {pool.entry.seq: pool.left for pool in standing.pools if pool.entry}


def test_the_order_of_use() -> None:
    """What ends first; then what was granted; then the oldest."""
    entries = numbered(
        entry("prepaid", 10),
        entry("granted", 10, 1),
        entry("prepaid", 10, 1, last=20),
        entry("granted", 10, 1, last=20),
        entry("prepaid", 10, 1, last=9),
        entry("prepaid", 10, 1),
    )
    order = [5, 4, 3, 2, 1, 6]
    for used in range(61):
        expected = {seq: max(0, 10 - max(0, used - 10 * place)) for place, seq in enumerate(order)}
        assert left(entries, {1: used}, through=5) == expected


def test_what_is_over_can_not_be_used_and_what_is_to_come_neither() -> None:
    entries = numbered(entry("granted", 10, last=1), entry("prepaid", 10, 3))
    standing = replayed(entries, {FIRST: 4, FIRST + 2: 5}, FIRST + 2)
    assert (standing.balance, standing.ended, standing.owed_of(FIRST, FIRST + 2)) == (1, 6, 5)
    later = replayed(entries, {FIRST: 4, FIRST + 2: 5}, FIRST + 3)
    assert (later.balance, later.ended, later.debts) == (11, 6, [])
    assert left(entries, {0: 4, 2: 5}) == {1: 6, 2: 5}


def test_use_of_the_last_day_is_of_what_ends_with_it() -> None:
    entries = numbered(entry("granted", 10, last=1), entry("prepaid", 10))
    assert left(entries, {1: 10, 2: 3}) == {1: 0, 2: 7}


def test_what_was_booked_as_expired_stays_so_whatever_use_is_known_later() -> None:
    entries = numbered(entry("granted", 10, last=1), entry("prepaid", 10), entry("expired", -6, 4, ended=1))
    for late, expected in ((0, 14 - 0), (4, 10), (7, 7)):  # 4 was known when the end was booked
        standing = replayed(entries, {FIRST: late}, FIRST + 9)
        assert (standing.balance, standing.ended) == (expected, 0)


def test_a_negative_adjustment_takes_as_use_does_and_its_debt_is_no_use() -> None:
    entries = numbered(entry("prepaid", 10), entry("adjustment", -15, 1), entry("prepaid", 3, 2))
    standing = replayed(entries, {}, FIRST + 1)
    assert (standing.balance, standing.owed_of(0, FIRST + 9)) == (-5, 0)
    assert replayed(entries, {}, FIRST + 2).balance == -2


def test_an_invoice_that_is_made_anew_on_a_day_leaves_the_current_month_as_it_was() -> None:
    """A month is billed; it is taken back and billed again, while there is use of the next month that none is for."""
    entries = numbered(
        entry("prepaid", 10),
        entry("adjustment", 7, 32),  # paid for by the invoice of October, on 2 November
        entry("adjustment", -7, 40),  # its credit note
        entry("adjustment", 7, 40),  # the next invoice of October
    )
    used = {FIRST + 4: 17, FIRST + 33: 5, FIRST + 50: 1}
    october = month_of_credits(entries, used, OCTOBER)
    november = month_of_credits(entries, used, month_of("2026-11"))
    assert october
    assert november
    assert (october.uncovered, november.uncovered, november.closing) == (7, 6, -6)


def test_credits_pay_corrections_before_use_which_can_still_be_billed() -> None:
    """The next invoice of the month that was taken back is issued a day later, and pays what the credit note owes."""
    entries = numbered(entry("prepaid", 10), entry("adjustment", -7, 2), entry("adjustment", 7, 3))
    standing = replayed(entries, {FIRST + 1: 15}, FIRST + 9)
    assert (standing.balance, standing.owed_of(FIRST, FIRST + 9)) == (-5, 5)


_booked = st.one_of(
    st.builds(entry, st.sampled_from(["prepaid", "granted"]), st.integers(1, 50), st.integers(0, 30)),
    st.builds(
        lambda kind, amount, day, days: entry(kind, amount, day, day + days),
        *(st.sampled_from(["prepaid", "granted"]), st.integers(1, 50), st.integers(0, 30), st.integers(0, 12)),
    ),
    st.builds(entry, st.just("adjustment"), st.integers(-20, 20).filter(bool), st.integers(0, 30)),
)
ENTRIES = st.lists(_booked, min_size=1, max_size=8).map(
    lambda some: numbered(*sorted(some, key=lambda one: one.created_at))
)
USED = st.dictionaries(st.integers(FIRST - 3, FIRST + 45), st.integers(0, 40), max_size=20)


def all_booked(entries: tuple[CreditEntry, ...], used: Mapping[int, int], through: int) -> tuple[CreditEntry, ...]:
    """With the ends that are over by then."""
    standing = replayed(entries, used, through)
    ends = [
        entry("expired", -pool.left, through - FIRST + 2, ended=pool.entry.seq)
        for pool in standing.pools
        if pool.entry and pool.is_unbooked_end
    ]
    return (*entries, *(replace(end, seq=100 + number) for number, end in enumerate(ends)))


@given(ENTRIES, USED, USED, st.integers(FIRST, FIRST + 45))
def test_nothing_is_lost_and_nothing_made(
    entries: tuple[CreditEntry, ...], used: dict[int, int], late: dict[int, int], through: int
) -> None:
    """What expired, what was used of entries and what is left are what was booked; also with use known late."""
    since = min(int(one.created_at.timestamp()) // 86_400 for one in entries)
    whole = all_booked(entries, used, through)
    for known in (used, {day: used.get(day, 0) + late.get(day, 0) for day in used | late}):
        standing = replayed(whole, known, through)
        there = [one for one in whole if one.kind == "expired" or one.created_at.timestamp() // 86_400 <= through]
        counted = sum(amount for day, amount in known.items() if since <= day <= through)
        assert standing.balance == sum(one.amount_nano for one in there) - counted
        assert all(pool.left >= 0 for pool in standing.pools)
        assert all(debt.amount > 0 for debt in standing.debts)
        assert standing.ended == 0
    standing = replayed(whole, used, through)
    positive = [one for one in there if one.amount_nano > 0]
    rest = {pool.entry.seq: pool.left for pool in standing.pools if pool.entry}
    expired = {one.ended: -one.amount_nano for one in there if one.ended is not None}
    taken = [one.amount_nano - rest[one.seq] - expired.get(one.seq, 0) for one in positive]
    assert all(amount >= 0 for amount in taken)
    taken_away = -sum(one.amount_nano for one in there if one.kind == "adjustment" and one.amount_nano < 0)
    owed = sum(debt.amount for debt in standing.debts)
    used_by_then = sum(amount for day, amount in used.items() if since <= day <= through)
    assert sum(taken) == used_by_then + taken_away - owed


@given(ENTRIES, USED, USED, st.integers(FIRST, FIRST + 45))
def test_workers_are_never_told_of_too_much(
    entries: tuple[CreditEntry, ...], known: dict[int, int], late: dict[int, int], today: int
) -> None:
    """Whatever part of the use is known when it is told: at every later moment, ends booked or not, it is not more
    than there is.
    """
    there = tuple(one for one in entries if one.created_at.timestamp() // 86_400 <= today)
    if not there:
        return
    told = lowered(account_of("acme", there, today * DAY_MS), replayed(there, known, today))
    row = CreditsRow(told.since_day, told.booked_nano, tuple(Ending(*one) for one in told.ending))
    really = {day: known.get(day, 0) + late.get(day, 0) for day in known | late}
    for day in range(today, today + 20):
        standing = replayed(there, really, day)
        counted = sum(amount for at, amount in really.items() if told.since_day <= at <= day)
        may = row.given_nano((day + 1) * DAY_MS) - counted  # at the end of that day
        assert may <= standing.balance - standing.ended


@given(ENTRIES, USED)
def test_a_months_lines_add_up_and_go_on_in_the_next(entries: tuple[CreditEntry, ...], used: dict[int, int]) -> None:
    whole = all_booked(entries, used, month_of("2026-11").last_day)
    closing = 0
    for name in ("2026-09", "2026-10", "2026-11"):
        month = month_of_credits(whole, used, month_of(name))
        if month is None:
            assert name == "2026-09"
            continue
        assert month.opening == closing
        assert month.closing == month.opening + month.booked + month.expired - month.used
        assert 0 <= month.uncovered <= month.used
        closing = month.closing


def test_what_credits_do_not_cover_is_of_the_month_that_it_was_used_in() -> None:
    entries = numbered(entry("prepaid", 10), entry("adjustment", 5, 33), entry("prepaid", 20, 36))
    used = {FIRST + 3: 15, FIRST + 34: 4}
    october = month_of_credits(entries, used, OCTOBER)
    assert october
    assert (october.covered, october.uncovered, october.closing) == (10, 5, -5)
    november = month_of_credits(entries, used, month_of("2026-11"))
    assert november
    assert (november.opening, november.covered, november.uncovered, november.closing) == (-5, 4, 0, 16)
