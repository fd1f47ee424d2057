"""What one snapshot says of limits and prices. A tenant's limits are prepared when it first asks. Pure."""

import time

from headgate.counters.limits import TenantLimits, lease_ms
from headgate.counters.price import FREE, DatedPrice
from headgate.counters.reservation import LEAST_GRANT, Wish
from headgate.credits import CreditsRow
from headgate.limiting import Ask
from headgate.limits import LimitsRow
from headgate.prices import FREE_SURFACES
from headgate.snapshot import Snapshot


class Rules:
    """Of one generation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._models = snapshot.models
        self._limits: dict[str, TenantLimits] = {}
        self._prices = {name: DatedPrice(row.price, time.time) for name, row in snapshot.models.items() if row.price}

    def limits(self, tenant: str, row: LimitsRow, account: CreditsRow | None = None) -> TenantLimits:
        """What is prepared stays for as long as the tenant's limits are the same, and its account of credits."""
        limits = self._limits.get(tenant)
        if limits is None or not limits.is_of(row, account):
            limits = self._limits[tenant] = TenantLimits(tenant, row, account)
        return limits

    def lease_ms(self, model: str) -> int:
        """How long a reservation holds at most when nobody settles it."""
        row = self._models.get(model)
        return lease_ms(row.longest_ms if row else None)

    def wish(self, ask: Ask, *, has_credits: bool = False) -> Wish:
        """What is asked for, with what its tenant pays for it now: the most, where credits pay it."""
        prices = self._prices.get(ask.model)
        price = prices.now(ask.price_factor) if prices else FREE
        pieces = 0 if ask.surface in FREE_SURFACES else price.of_pieces(ask.unit, ask.units)
        prompt = price.of_prompt_at_most(ask.input) if has_credits else price.of_prompt(ask.input)
        fixed, rate = prompt + pieces, price.per_output_token
        least = ask.output if ask.unit else LEAST_GRANT
        return Wish(ask.request_id, ask.epoch, ask.input, ask.output, ask.times, fixed, rate, least)
