"""What kinds of limits there are, and a tenant's limits as the tables carry them. Pure; docs/limits.md explains them.

Amounts are whole numbers everywhere: requests, tokens, or nano-USD, a request's cost rounded up to one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Literal

import msgspec

Dimension = Literal["requests", "input", "output", "tokens", "usd", "slots"]
Shape = Literal["window", "slots", "day", "month", "ever"]
Scope = Literal["key", "model", "user"]

SCOPES: tuple[Scope, ...] = ("key", "model", "user")

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")  # the most urgent first
MOST_SHARE = 1000
NANO = 10**9


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what it counts, over what. A sliding window is `units` buckets of `unit_ms`; others have neither.

    `ever` is without an end: what was used since an account began.
    """

    name: str
    text: str
    dimension: Dimension
    shape: Shape
    unit_ms: int = 0
    units: int = 0


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("rps", "requests per second", "requests", "window", 50, 20),
        Kind("rpm", "requests per minute", "requests", "window", 1000, 60),
        Kind("input_tpm", "input tokens per minute", "input", "window", 1000, 60),
        Kind("output_tpm", "output tokens per minute", "output", "window", 1000, 60),
        Kind("tpm", "tokens per minute", "tokens", "window", 1000, 60),
        Kind("concurrency", "requests at the same time", "slots", "slots"),
        Kind("daily_requests", "requests per day", "requests", "day"),
        Kind("daily_tokens", "tokens per day", "tokens", "day"),
        Kind("daily_usd", "US dollars per day", "usd", "day"),
        Kind("monthly_requests", "requests per month", "requests", "month"),
        Kind("monthly_tokens", "tokens per month", "tokens", "month"),
        Kind("monthly_usd", "US dollars per month", "usd", "month"),
        Kind("credits", "US dollars of credits", "usd", "ever"),
    )
}
# Those that keys, people and rules can have: an account is a tenant's.
KINDS_OF_PARTS: Mapping[str, Kind] = {name: kind for name, kind in KINDS.items() if kind.shape != "ever"}


class LimitRow(msgspec.Struct, frozen=True):
    """One limit of a plan, a tenant or a key.

    `cap` refuses, None does not; `soft` warns. Over `cap` requests go on up to `ceiling`, where there is one, and
    `overage_price` is nano-USD for a thousand requests or a million tokens there. `burst` may be used on top of `cap`
    in a sliding window, and refills within `refill_ms`. `by`, in the order of SCOPES, gives each key, model or user
    a counter of its own; `models` keeps the limit to requests for these.
    Of credits there is `floor` in place of a cap, which nothing may take the balance below, and `low` warns below it.
    """

    kind: str
    cap: int | None
    soft: int | None = None
    ceiling: int | None = None
    overage_price: int | None = None
    burst: int = 0
    refill_ms: int = 0
    by: tuple[Scope, ...] = ()
    models: tuple[str, ...] | None = None
    floor: int | None = None
    low: int | None = None

    @property
    def lifts(self) -> bool:
        """Whether it says only that a plan's does not hold."""
        return (self.cap, self.soft, self.floor) == (None, None, None)

    @property
    def most(self) -> int | None:
        """What may be used at the very most; None is no end."""
        return self.cap if self.ceiling is None else self.ceiling


class GivenLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits as one entry gives them, a plan, a tenant or a key: by kind, and the rows of its rules.

    A row that says nothing lifts the plan's. What is None is not given. `priority` and `share`: how it waits.
    """

    kinds: dict[str, LimitRow] = {}
    per: tuple[LimitRow, ...] | None = None
    anniversary: int | None = None
    priority: Priority | None = None
    share: int | None = None


class LimitsRow(msgspec.Struct, frozen=True, dict=True):
    """All limits of a tenant; `keys` has those of single keys and people, by the caller's id, with `by` ("key",).

    A key's limit takes the place of the limits of the same kind whose `by` is ("key",) and whose `models` is None.
    Months begin on `anniversary`, in shorter months on their last day. Where an engine is full, requests wait with
    this `priority` and `share`.
    """

    limits: tuple[LimitRow, ...] = ()
    keys: dict[str, tuple[LimitRow, ...]] = {}
    anniversary: int = 1
    priority: Priority = "normal"
    share: int = 1

    @cached_property
    def counts_tokens(self) -> bool:
        """Whether a prompt has to be counted before it may be sent."""
        rows = [*self.limits, *(row for some in self.keys.values() for row in some)]
        return any(KINDS[row.kind].dimension not in ("requests", "slots") for row in rows)


def user_name(user: str) -> str:
    """What a user is called in the counters and the ledger: clients write anything there. "" stays ""."""
    return blake2b(user.encode(), digest_size=16).hexdigest() if user else ""


def limit_name(row: LimitRow, key_id: str = "", model: str = "", user: str = "") -> str:
    """What a limit is called for one caller: `rpm`, `rpm:key=ci`, `daily_tokens:user=…`. `user` is a `user_name`."""
    parts = []
    if row.models is not None:
        listed = "\n".join(sorted(row.models)).encode()
        parts.append(f"models={blake2b(listed, digest_size=8).hexdigest()}")
    values = {"key": key_id, "model": model, "user": user}
    parts += [f"{scope}={values[scope]}" for scope in row.by]
    return f"{row.kind}:{','.join(parts)}" if parts else row.kind
