"""What a webhook of a soft limit says, and its signature by the Standard Webhooks specification 1.0. Pure."""

import base64
import hmac
from hashlib import blake2b
from typing import Protocol

import msgspec

from headgate.counters.calendar import DAY_MS, window_of
from headgate.limits import KINDS, LimitsRow
from headgate.webhook_secret import signing_key
from ledger.showing.limit_words import Amount, Owner, amount, find_row, moment, unit

TYPE = "limit.soft_exceeded"
CREDITS_TYPE = "credits.low"
# An account has no window whose end could be waited for: for so long it is known what was told of it.
_KNOWN_MS = 400 * DAY_MS


class Crossed(Protocol):
    """A soft limit that was crossed, as the counters tell it; amounts in the limit's own unit."""

    @property
    def name(self) -> str:
        """The limit's full name."""

    @property
    def window_ms(self) -> int:
        """When its window began."""

    @property
    def used(self) -> int:
        """What was used then."""

    @property
    def soft(self) -> int:
        """What was crossed."""

    @property
    def time_ms(self) -> int:
        """When."""


class Window(msgspec.Struct, frozen=True):
    """From `start` on, before `end`; one that slides ends with the moment."""

    start: str
    end: str


class Data(msgspec.Struct, frozen=True):
    """What happened. `resets_at` is None where a limit's window slides."""

    tenant: str
    limit: str
    scope: Owner
    unit: str
    used: Amount
    soft: Amount
    cap: Amount | None
    ceiling: Amount | None
    window: Window
    resets_at: str | None


class CreditsData(msgspec.Struct, frozen=True):
    """An account whose balance is below `low`; `low` and `floor` are None where a reload has taken them away."""

    tenant: str
    balance: Amount | None
    low: Amount | None
    floor: Amount | None


class Event(msgspec.Struct, frozen=True):
    """The body."""

    type: str
    timestamp: str
    data: Data | CreditsData


class _Owned(msgspec.Struct, frozen=True):
    tenant: str


class _Whose(msgspec.Struct, frozen=True):
    data: _Owned


def kind_of(name: str) -> str:
    """The limit's kind: a full name begins with it."""
    return name.partition(":")[0]


def event_of(tenant: str, crossed: Crossed, limits: LimitsRow) -> Event:
    """The event. A limit that a reload has taken away meanwhile has no `cap`, and nobody in its `scope`."""
    kind = kind_of(crossed.name)
    row, owner = find_row(limits, crossed.name) or (None, Owner())
    if KINDS[kind].shape == "ever":
        low, floor = (row.low, row.floor) if row else (None, None)
        words = (None if one is None else amount(kind, one) for one in (balance_of(crossed, limits), low, floor))
        return Event(CREDITS_TYPE, moment(crossed.time_ms), CreditsData(tenant, *words))
    calendar = KINDS[kind].shape in ("day", "month")
    ends = end_ms(crossed, limits) if calendar else crossed.time_ms
    data = Data(
        tenant=tenant,
        limit=kind,
        scope=owner,
        unit=unit(kind),
        used=amount(kind, crossed.used),
        soft=amount(kind, crossed.soft),
        cap=None if row is None or row.cap is None else amount(kind, row.cap),
        ceiling=None if row is None or row.ceiling is None else amount(kind, row.ceiling),
        window=Window(moment(crossed.window_ms), moment(ends)),
        resets_at=moment(ends) if calendar else None,
    )
    return Event(TYPE, moment(crossed.time_ms), data)


def balance_of(crossed: Crossed, limits: LimitsRow) -> int | None:
    """What was left of credits when they came below `low`; None where a reload has taken that away."""
    row, _ = find_row(limits, crossed.name) or (None, Owner())
    return None if row is None or row.low is None else row.low + crossed.soft - crossed.used


def tenant_of(body: bytes) -> str:
    """Whom an event is about; "" where it does not say."""
    try:
        return msgspec.json.decode(body, type=_Whose).data.tenant
    except msgspec.DecodeError:
        return ""


def id_of(tenant: str, crossed: Crossed, salt: bytes) -> str:
    """The same for the same limit and window, however often it is told of; `salt` keeps installations apart."""
    told = (tenant, crossed.name, crossed.window_ms, crossed.soft)
    return f"msg_{blake2b(msgspec.json.encode(told), digest_size=16, key=salt).hexdigest()}"


def end_ms(crossed: Crossed, limits: LimitsRow) -> int:
    """From when on the same limit may be crossed anew."""
    kind = KINDS[kind_of(crossed.name)]
    if kind.shape in ("day", "month"):
        return window_of(kind.shape, limits.anniversary, crossed.window_ms)[1]
    if kind.shape == "ever":
        return crossed.time_ms + _KNOWN_MS
    return crossed.time_ms + kind.unit_ms * kind.units


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`. Raises ValueError when the secret is none; the text says why."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return f"v1,{base64.b64encode(hmac.digest(signing_key(secret), signed, 'sha256')).decode()}"
