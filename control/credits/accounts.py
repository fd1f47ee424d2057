"""What workers are told of an account: made of its entries, and of what use has left of those that end. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from control.credits.days import DAY_MS, ends_ms
from control.credits.pools import Standing, since_of
from control.store.credits import CreditEntry
from control.store.values import CreditAccount


def account_of(
    tenant: str, entries: Sequence[CreditEntry], now_ms: int, before: CreditAccount | None = None
) -> CreditAccount:
    """Of all entries of an account, in their order.

    What is to end may have its whole amount left: credits that are booked now may be used before it. Of what has
    ended by now only the use of days that are over counts, so that the bound of `before` holds.
    """
    known = dict(before.ending) if before else {}
    ending: dict[int, int] = {}
    for entry in unended(entries):
        assert entry.expires_on  # noqa: S101 - what `unended` gives
        at_ms = ends_ms(entry.expires_on)
        ending[at_ms] = ending.get(at_ms, 0) + entry.amount_nano
    for at_ms, amount in ending.items():
        if at_ms <= now_ms:
            ending[at_ms] = min(amount, known.get(at_ms, amount))
    return CreditAccount(
        tenant_id=tenant,
        since_day=since_of(entries),
        booked_nano=sum(entry.amount_nano for entry in entries),
        ending=tuple(sorted(ending.items())),
    )


def unended(entries: Sequence[CreditEntry]) -> tuple[CreditEntry, ...]:
    """Those that end, and whose end is not booked."""
    ended = {entry.ended for entry in entries}
    return tuple(entry for entry in entries if entry.expires_on and entry.seq not in ended)


def lowered(account: CreditAccount, standing: Standing) -> CreditAccount:
    """What can be left at most of what ends, by what is known to be used: more use never leaves more of anything.

    `standing` is of all entries of the account.
    """
    left: dict[int, int] = {}
    for pool in standing.pools:
        if pool.entry is not None and pool.entry.expires_on:
            at_ms = (pool.last_day + 1) * DAY_MS
            left[at_ms] = left.get(at_ms, 0) + pool.left
    ending = tuple((at_ms, min(most, left.get(at_ms, most))) for at_ms, most in account.ending)
    return replace(account, ending=ending)
