"""What one snapshot says of limits and prices. A tenant's limits are prepared when it first asks. Pure."""

from headgate.counters.limits import TenantLimits, lease_ms
from headgate.counters.reservation import LEAST_GRANT, Wish
from headgate.prices import FREE_SURFACES
from headgate.snapshot import Snapshot
from ratelimit.ask import FREE, Ask, Price


class Rules:
    """Of one generation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._tenants, self._models = snapshot.tenants, snapshot.models
        self._limits: dict[str, TenantLimits] = {}
        self._prices = {name: Price(row.price) for name, row in snapshot.models.items() if row.price}

    def limits(self, tenant: str) -> TenantLimits | None:
        """None for a tenant without any."""
        limits = self._limits.get(tenant)
        if limits is None:
            row = self._tenants.get(tenant)
            if row is None or row.limits is None:
                return None
            limits = self._limits[tenant] = TenantLimits(tenant, row.limits)
        return limits

    def lease_ms(self, model: str) -> int:
        """How long a reservation holds at most when nobody settles it."""
        row = self._models.get(model)
        return lease_ms(row.total_ms if row else None)

    def wish(self, ask: Ask) -> Wish:
        """What is asked for, with its price."""
        price = self._prices.get(ask.model, FREE)
        pieces = 0 if ask.surface in FREE_SURFACES else price.of_pieces(ask.unit, ask.units)
        fixed, rate = price.of_prompt(ask.input) + pieces, price.per_output_token
        least = ask.output if ask.unit else LEAST_GRANT
        return Wish(ask.request_id, ask.epoch, ask.input, ask.output, ask.times, fixed, rate, least)
