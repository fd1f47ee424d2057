"""A tenant's credits as the directory tells them: what was booked, and what ends. Pure;
docs/credits.md explains them.

Amounts are whole nano-USD. What was used is not here: the counters know that, from `since_day` on.
"""

import msgspec


class Ending(msgspec.Struct, frozen=True, array_like=True):
    """Credits that end at a moment, and how much of them may be left then at the very most."""

    ends_ms: int
    most_nano: int


class CreditsRow(msgspec.Struct, frozen=True, array_like=True):
    """`booked_nano` is the sum of all entries of the account, what has ended taken off once that is booked.

    Use counts from `since_day` on, days since 1970 (UTC). `ending`: whose end is not booked yet.
    """

    since_day: int
    booked_nano: int
    ending: tuple[Ending, ...] = ()

    def given_nano(self, now_ms: int) -> int:
        """What may be used up by this moment, since `since_day`. What has just ended counts no more."""
        return self.booked_nano - sum(one.most_nano for one in self.ending if one.ends_ms <= now_ms)
