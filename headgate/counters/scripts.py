"""The scripts as the counters know them, and the names of every key that they use.

All keys of a tenant carry its name in braces, so that they live on one node of a cluster. Keys are spelt here alone.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

# How long a settled request is remembered: longer than any copy of its reservation can be under way, and longer than
# a sliding window, so that nothing is added to one twice. One that had no record is remembered for a lease more
# (settle.lua): for so long ratelimit/late.py may reserve it yet.
REMEMBER_MS = 90_000
# Users of one tenant with counters of their own at the same time; those beyond share one.
MOST_USERS = 10_000
OPEN_PATTERN = "hg:{*}:open"

# In place of a user's name: those who have no counter of their own.
OTHER_USERS = "*"


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest under which a server keeps it."""

    text: str
    sha1: str


# What a script is run with; `now_ms` among the arguments is "" for the server's clock.
Argument = str | int | bytes
Call = tuple[Script, tuple[str, ...], tuple[Argument, ...]]


def _script(*names: str) -> Script:
    parts = [(files("headgate.counters") / f"{name}.lua").read_text(encoding="utf-8") for name in names]
    text = "".join(parts)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


RESERVE = _script("windows", "reserve")
SETTLE = _script("windows", "settle")
STANDING = _script("windows", "standing")
NOTE_RESPONSE = _script("note_response")
FIND_RESPONSE = _script("find_response")
KNOWN_RESPONSES = _script("known_responses")
MARK = _script("mark")
ADMIT = _script("slots", "queue", "admit")
RELEASE = _script("slots", "queue", "release")
LOOK = _script("slots", "queue", "look")
ALL = (RESERVE, SETTLE, STANDING, NOTE_RESPONSE, FIND_RESPONSE, KNOWN_RESPONSES, MARK, ADMIT, RELEASE, LOOK)


def record_key(tenant: str, request_id: str) -> str:
    """What one request has reserved."""
    return f"hg:{{{tenant}}}:r:{request_id}"


def open_key(tenant: str) -> str:
    """The tenant's reservations that have something to settle, by the end of their lease."""
    return f"hg:{{{tenant}}}:open"


def alerts_key(tenant: str) -> str:
    """Soft limits that were crossed and that no ledger has been told of."""
    return f"hg:{{{tenant}}}:alerts"


def told_key(tenant: str, gateway: str) -> str:
    """Those that this gateway's ledger is told of until it says that it has them."""
    return f"hg:{{{tenant}}}:alerts:{gateway}"


def base_key(tenant: str, calendar: str) -> str:
    """Which ledgers have written their sums of the calendar windows; `calendar` says of which limits."""
    return f"hg:{{{tenant}}}:base:{calendar}"


def bases_key(tenant: str) -> str:
    """The `base_key` that each ledger has written last: those before are not kept up to date."""
    return f"hg:{{{tenant}}}:bases"


def users_key(tenant: str) -> str:
    """Users that have counters of their own, by when the last of these goes away."""
    return f"hg:{{{tenant}}}:users"


def responses_key(tenant: str, kind: str = "responses") -> str:
    """Which target made which response, or what else providers keep."""
    return f"hg:{{{tenant}}}:{kind}"


def response_times_key(tenant: str, kind: str = "responses") -> str:
    """When each of them was noted, in seconds since the epoch."""
    return f"hg:{{{tenant}}}:{kind}:times"


def mark_key(tenant: str) -> str:
    """What marks the tenant's stored completions, so that it can list them."""
    return f"hg:{{{tenant}}}:completions:mark"


def queue_keys(pool: str) -> tuple[str, ...]:
    """All keys of an engine's slots and of those who wait for one, as slots.lua has them; no tenant is called so."""
    lines, tenants, past = ([f"{part}:{number}" for number in (1, 2, 3)] for part in ("line", "tenants", "past"))
    parts = ("slots", "places", "state", "tickets", "beats", "ended", *lines, *tenants, "models", "reaches", *past)
    return tuple(f"hg:{{engine/{pool}}}:{part}" for part in parts)


def limit_key(tenant: str, name: str, day: int = 1) -> str:
    """One limit of a tenant, by its name; of months that do not begin on the first also by when they do, and of
    credits by the day that their account began: a new one never sees what was used of an older one.
    """
    return f"hg:{{{tenant}}}:{name}" if day == 1 else f"hg:{{{tenant}}}:{day}:{name}"


def keys_pattern(tenant: str) -> str:
    """All keys of a tenant's, for SCAN. No character of a tenant's name means anything there."""
    return f"hg:{{{tenant}}}:*"


def limit_of(key: str) -> str:
    """`limit_key` read backwards: the limit's name."""
    name = key.partition("}:")[2]
    return name.partition(":")[2] if name[0].isdecimal() else name


def member_of(epoch: str, request_id: str) -> str:
    """A request among the open reservations: which Envoy has it, so that a dead one's can be found."""
    return f"{epoch}/{request_id}"


def request_of(member: str) -> tuple[str, str]:
    """`member_of` read backwards: the epoch and the request id."""
    epoch, _, request_id = member.partition("/")
    return epoch, request_id


def tenant_of(key: str) -> str:
    """The tenant in a key's braces."""
    return key.partition("{")[2].partition("}")[0]
