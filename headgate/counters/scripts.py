"""The scripts as the counters know them, and the names of every key that they use.

All keys of a tenant carry its name in braces, so that they live on one node of a cluster. Keys are spelt here alone.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

# How long a settled request is remembered: longer than any copy of its reservation can be under way.
REMEMBER_MS = 30_000
OPEN_PATTERN = "hg:{*}:open"


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest under which a server keeps it."""

    text: str
    sha1: str


def _script(name: str) -> Script:
    text = (files("headgate.counters") / f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


RESERVE = _script("reserve")
SETTLE = _script("settle")
ALL = (RESERVE, SETTLE)


def record_key(tenant: str, request_id: str) -> str:
    """What one request has reserved."""
    return f"hg:{{{tenant}}}:r:{request_id}"


def open_key(tenant: str) -> str:
    """The tenant's reservations that have something to give back, by the end of their lease."""
    return f"hg:{{{tenant}}}:open"


def limit_key(tenant: str, limit: str) -> str:
    """One limit of a tenant. Limits of a key, a model or a user add their scope: `rpm:key=ci`."""
    return f"hg:{{{tenant}}}:{limit}"


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
