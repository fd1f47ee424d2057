"""What an `end` line asks of providers' budgets: the provider that answered is charged what it takes, and one that
only held something gets it back. Pure, the clock apart.
"""

import time
from collections.abc import Callable

from headgate.purses import Purse, read
from ledger.pricing.pricing import Pricing
from ledger.settling.charges import NO_CHARGE, Charge, charge_of
from ledger.settling.ends import End
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line

ProviderPriceOf = Callable[[Line], Pricing]
PurseOf = Callable[[Line], Purse | None]


class BudgetEnds:
    """`purse_of` has the purse of whoever answered, `price_of` what that one takes."""

    def __init__(self, purse_of: PurseOf, price_of: ProviderPriceOf) -> None:
        self._purse_of = purse_of
        self._price_of = price_of

    def of(self, line: Line, epoch: str, at: int = 0) -> list[End]:
        """One for each purse; none for most requests."""
        if line.type != "end" or not line.request_id or not (line.budgets or line.attempts):
            return []
        first, *others = read(line.budgets or "")
        answered = self._purse_of(line) if line.attempts else None
        purses = dict.fromkeys(purse for purse in (first, *others, answered) if purse)
        return [self._end(line, epoch, at, one, self._charge(line, one, first, answered)) for one in purses]

    def _charge(self, line: Line, purse: Purse, first: Purse | None, answered: Purse | None) -> Charge:
        """Of those that did not answer only the first was asked for certain: what it did nobody has reported."""
        if purse == answered:
            return charge_of(line, self._price_of(line))
        return Charge(requests=1) if line.attempts and purse == first else NO_CHARGE

    def _end(self, line: Line, epoch: str, at: int, purse: Purse, charge: Charge) -> End:
        began = began_ms(line)
        return End(
            request_id=purse.charge_id(line.request_id or ""),
            epoch=epoch,
            tenant=purse.name,
            key_id=purse.key,
            model=line.declared_model,
            user="",
            began_ms=time.time_ns() // 1_000_000 if began is None else began,
            charge=charge,
            at=at,
            settles=True,
            missed=False,
        )
