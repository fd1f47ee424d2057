"""A tenant's limits as the counters' scripts take them: which of them a request has to keep, and their keys. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import msgspec

from headgate.counters.calendar import window_of
from headgate.counters.scripts import OTHER_USERS, alerts_key, base_key, limit_key, open_key, users_key
from headgate.credits import CreditsRow
from headgate.limits import KINDS, Kind, LimitRow, LimitsRow, limit_name, user_name

# Beyond the time that a request may take: the answer's last bytes, and the ledger's way.
_LEASE_MARGIN_MS = 30_000
_UNKNOWN_MODEL_MS = 600_000
# Callers that a process keeps prepared, of all tenants together: some 3 kB each.
_PREPARED = 8192


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one caller. `key_id`, `model` and `user` (a `user_name`) are "" where the row is not by them.

    `day` is the one that months begin on, or that the account of credits began on; `credits` is the account, if any.
    """

    row: LimitRow
    kind: Kind
    name: str
    key: str
    key_id: str = ""
    model: str = ""
    user: str = ""
    day: int = 1
    credits: CreditsRow | None = None

    @property
    def is_calendar(self) -> bool:
        """Whether it counts by days, and so has sums of the ledger's."""
        return self.kind.shape in ("day", "month") or self.credits is not None

    @property
    def is_credits(self) -> bool:
        """Whether it refuses what an account has no room for."""
        return self.kind.shape == "ever"

    @property
    def refuses(self) -> bool:
        """Whether anything is refused by it."""
        return self.is_credits or self.row.most is not None

    def window_ms(self, at_ms: int) -> tuple[int, int]:
        """The calendar window that has this moment: its start and its end."""
        return window_of(self.kind.shape, self.day, at_ms)

    def given_nano(self, now_ms: int) -> int:
        """What of the account's credits could be used up by now, if it was allowed to come to 0."""
        return self.credits.given_nano(now_ms) if self.credits else 0

    def cap_nano(self, now_ms: int) -> int:
        """How much may be used of the account in all; without one nothing."""
        return self.given_nano(now_ms) - (self.row.floor or 0) if self.credits else 0

    def soft_nano(self, now_ms: int) -> int | None:
        """How much may be used of the account before it warns; below 0 where there was too little from the start."""
        return None if not self.credits or self.row.low is None else self.given_nano(now_ms) - self.row.low


@dataclass(frozen=True, slots=True, eq=False)
class Applying:
    """All limits of one caller, prepared for calls. `user` is a `user_name`, and "" where no limit is by user.

    `settles`: whether its reservations have anything to settle. `keys` and `packed` are for the scripts.
    """

    tenant: str
    key_id: str
    model: str
    user: str
    limits: tuple[Limit, ...]
    settles: bool
    keys: tuple[str, ...]
    packed: bytes


class TenantLimits:
    """The limits of one tenant. `base_key` is there once ledgers have written the sums of its calendar windows.

    `credits` is the account of a tenant with such a limit; those of others make no difference.
    """

    __slots__ = ("base_key", "by_user", "credits", "has_calendar", "has_credits", "row", "tenant")

    def __init__(self, tenant: str, row: LimitsRow, account: CreditsRow | None = None) -> None:
        self.tenant = tenant
        self.row = row
        self.has_credits = any(map(_is_of_credits, row.limits))
        self.credits = account if self.has_credits else None
        rows = [*row.limits, *(limit for some in row.keys.values() for limit in some)]
        self.by_user = any("user" in limit.by for limit in rows)
        self.has_calendar = self.credits is not None or any(map(_is_calendar, rows))
        self.base_key = base_key(tenant, _calendar_of(row, self.credits))

    def is_of(self, row: LimitsRow, account: CreditsRow | None) -> bool:
        """Whether these are the same limits, of the same account."""
        is_same_account = not self.has_credits or self.credits == account
        return is_same_account and (self.row is row or self.row == row)

    def applying(self, key_id: str, model: str, user: str) -> Applying:
        """What a request has to keep. `user` is the client's text."""
        return self.applying_to(key_id, model, user_name(user) if self.by_user else "")

    def applying_to(self, key_id: str, model: str, user: str) -> Applying:
        """The same with a `user_name`, as records and the ledger have it."""
        return _prepared(self, key_id, model, user if self.by_user else "")

    def keeps_users_apart(self, key_id: str, model: str) -> bool:
        """Whether days or months of such requests count for each user."""
        return self.by_user and any("user" in row.by and _is_calendar(row) for row in self.rows(key_id, model))

    def rows(self, key_id: str, model: str) -> Iterator[LimitRow]:
        """The rows for a key and a model; a key's own take the place of the general ones by key."""
        own = self.row.keys.get(key_id, ())
        replaced = {row.kind for row in own}
        general = (
            row for row in self.row.limits if not (row.kind in replaced and row.by == ("key",) and row.models is None)
        )
        for row in (*general, *own):
            if _counts(row) and (row.models is None or model in row.models):
                yield row


def lease_ms(total_ms: int | None) -> int:
    """How long a reservation holds when nobody settles it; `total_ms` is its model's timeout, None if not known."""
    return (_UNKNOWN_MODEL_MS if total_ms is None else total_ms) + _LEASE_MARGIN_MS


def _counts(row: LimitRow) -> bool:
    return not row.lifts


def _is_calendar(row: LimitRow) -> bool:
    return KINDS[row.kind].shape in ("day", "month")


def _is_of_credits(row: LimitRow) -> bool:
    return KINDS[row.kind].shape == "ever"


def _calendar_of(limits: LimitsRow, account: CreditsRow | None) -> str:
    """A digest of which calendar windows there are, whatever their caps: one that is new has no sums yet."""
    general = [("", row) for row in limits.limits if _counts(row)]
    of_keys = [(key_id, row) for key_id, rows in limits.keys.items() for row in rows]
    known = sorted(
        msgspec.json.encode((key_id, row.kind, row.by, row.models and sorted(row.models), _counts(row)))
        for key_id, row in (*general, *of_keys)
        if _is_calendar(row)
    )
    since = b"\nsince %d" % account.since_day if account else b""
    return blake2b(b"%d\n%s%s" % (limits.anniversary, b"\n".join(known), since), digest_size=8).hexdigest()


@lru_cache(maxsize=_PREPARED)
def _prepared(tenant: TenantLimits, key_id: str, model: str, user: str) -> Applying:
    limits = tuple(_limit(tenant, row, key_id, model, user) for row in tenant.rows(key_id, model))
    name = tenant.tenant
    keys = [open_key(name), alerts_key(name), tenant.base_key, users_key(name)]
    for limit in limits:
        keys += keys_of(tenant.tenant, limit)
    return Applying(
        tenant=name,
        key_id=key_id,
        model=model,
        user=user,
        limits=limits,
        settles=any(limit.kind.shape != "window" or limit.kind.dimension != "requests" for limit in limits),
        keys=tuple(keys),
        packed=packed(limits),
    )


def _limit(tenant: TenantLimits, row: LimitRow, key_id: str, model: str, user: str) -> Limit:
    kind = KINDS[row.kind]
    account = tenant.credits if kind.shape == "ever" else None
    day = account.since_day if account else tenant.row.anniversary if kind.shape == "month" else 1
    name = limit_name(row, key_id, model, user)
    return Limit(
        row=row,
        kind=kind,
        name=name,
        key=limit_key(tenant.tenant, name, day),
        key_id=key_id if "key" in row.by else "",
        model=model if "model" in row.by else "",
        user=user if "user" in row.by else "",
        day=day,
        credits=account,
    )


def keys_of(tenant: str, limit: Limit) -> tuple[str, ...]:
    """A limit's keys: of one by user also that of the users who have no counter of their own."""
    if not limit.user:
        return (limit.key,)
    others = limit_name(limit.row, limit.key_id, limit.model, OTHER_USERS)
    return (limit.key, limit_key(tenant, others, limit.day))


def packed(limits: tuple[Limit, ...]) -> bytes:
    """The limits as windows.lua reads them; what is nothing is left out."""
    return msgspec.msgpack.encode([_described(limit) for limit in limits])


def _described(limit: Limit) -> dict[str, object]:
    row, kind = limit.row, limit.kind
    if limit.is_credits:
        return _described_credits(limit)
    described: dict[str, object] = {
        "shape": kind.shape,
        "dimension": kind.dimension,
        "cap": row.most,
        "soft": row.soft,
        "unit": kind.unit_ms or None,
        "units": kind.units or None,
        "burst": row.burst or None,
        "refill": row.refill_ms or None,
        "day": limit.day if kind.shape == "month" else None,
        "user": bool(limit.user) or None,
    }
    return {name: value for name, value in described.items() if value is not None}


def _described_credits(limit: Limit) -> dict[str, object]:
    """`ends` has the moments at which credits end and how much ends then, in turns. Without an account there is no
    day, and nothing that could be used.
    """
    kind, account = limit.kind, limit.credits
    described: dict[str, object] = {"shape": kind.shape, "dimension": kind.dimension, "cap": 0}
    if account is not None:
        described["day"] = account.since_day
        described["cap"] = account.booked_nano - (limit.row.floor or 0)
        described["ends"] = ends_of(limit)
        if limit.row.low is not None:
            described["soft"] = account.booked_nano - limit.row.low
    return described


def ends_of(limit: Limit) -> list[int]:
    """The moments at which credits of its account end, in ms, and how much of them ends then, in turns."""
    ending = limit.credits.ending if limit.credits else ()
    return [number for one in ending for number in (one.ends_ms, one.most_nano)]
