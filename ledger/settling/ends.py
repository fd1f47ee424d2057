"""What an `end` line asks of settlement: what to count, and what to close. Pure, the clock apart."""

import time
from collections.abc import Callable

import msgspec

from headgate.counters.calendar import DAY_MS
from headgate.counters.limits import TenantLimits
from headgate.limits import user_name
from headgate.purses import is_purse
from ledger.pricing.pricing import Pricing
from ledger.settling.charges import Charge, charge_of
from ledger.settling.usage import NOT_KEPT_APART, Amounts, Entry, FileId, Where
from ledger.spool.line_times import began_ms
from ledger.spool.lines import Line

PriceOf = Callable[[Line], Pricing]


class End(msgspec.Struct, frozen=True, gc=False):
    """One request that has ended; its line ends `at` that byte of its file.

    `settles`: it may hold something. `missed`: the counters were not asked, or nobody knows what they said.
    """

    request_id: str
    epoch: str
    tenant: str
    key_id: str
    model: str
    user: str  # the client's text
    began_ms: int
    charge: Charge
    at: int
    settles: bool
    missed: bool


def end_of(line: Line, epoch: str, price_of: PriceOf, at: int = 0) -> End | None:
    """None where there is nothing to do: no end, nobody's, or neither charged nor reserved."""
    if line.type != "end" or not line.request_id or not line.tenant:
        return None
    charge = charge_of(line, price_of(line))
    settles = line.may_have_reserved
    if not settles and not charge.requests:
        return None
    began = began_ms(line)
    return End(
        request_id=line.request_id,
        epoch=epoch,
        tenant=line.tenant,
        key_id=line.key_id or "",
        model=line.declared_model,
        user=line.user or "",
        began_ms=time.time_ns() // 1_000_000 if began is None else began,
        charge=charge,
        at=at,
        settles=settles,
        missed=settles and line.reserved is None and charge.requests > 0,
    )


def amounts_of(charge: Charge) -> Amounts:
    """As the database has them."""
    return Amounts(charge.requests, charge.input, charge.output, charge.usd_nano)


def where_of(end: End, limits: TenantLimits) -> Where:
    """Where its usage belongs; users are kept apart where that counts for one of these limits."""
    user = user_name(end.user) if limits.keeps_users_apart(end.key_id, end.model) else NOT_KEPT_APART
    return Where(end.tenant, end.began_ms // DAY_MS, end.key_id, end.model, user)


def entry_of(end: End, limits: TenantLimits, file: FileId | None) -> Entry:
    """For the database."""
    return Entry(entry_id(end.tenant, end.request_id), where_of(end, limits), amounts_of(end.charge), file, end.at)


def entry_id(tenant: str, request_id: str) -> str:
    """What a request's charge is called: one request may be charged to its tenant, and to purses of providers."""
    return f"{tenant}/{request_id}" if is_purse(tenant) else request_id
