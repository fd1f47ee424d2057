"""What an invoice says of a month's credits. Pure, in whole nano-USD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control.credits.days import number_of
from control.credits.pools import booked_on, replayed, since_of
from control.invoices.months import Month
from control.store.credits import CreditEntry


@dataclass(frozen=True, slots=True)
class MonthOfCredits:
    """`closing` is `opening + booked + expired - used`. `uncovered`: what of `used` no credits were there for."""

    opening: int
    booked: int
    used: int
    expired: int
    closing: int
    uncovered: int

    @property
    def covered(self) -> int:
        """What is not to be paid once more."""
        return self.used - self.uncovered


def month_of_credits(entries: Sequence[CreditEntry], used: Mapping[int, int], month: Month) -> MonthOfCredits | None:
    """None where there was no account by its end. What was booked later changes nothing of it."""
    if not entries or since_of(entries) > month.last_day:
        return None
    since, by_seq = since_of(entries), {entry.seq: entry for entry in entries}

    def counts_on(entry: CreditEntry) -> int:
        ended = by_seq[entry.ended].expires_on if entry.ended is not None else None
        return number_of(ended) if ended else booked_on(entry, since)

    within = range(month.first_day, month.last_day + 1)
    mine = [entry for entry in entries if counts_on(entry) in within]
    closing = replayed(entries, used, month.last_day)
    return MonthOfCredits(
        opening=replayed(entries, used, month.first_day - 1).balance,
        booked=sum(entry.amount_nano for entry in mine if entry.kind != "expired"),
        used=sum(amount for day, amount in used.items() if day in within and day >= since),
        expired=sum(entry.amount_nano for entry in mine if entry.kind == "expired"),
        closing=closing.balance,
        uncovered=closing.owed_of(month.first_day, month.last_day),
    )
