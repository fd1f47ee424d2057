"""What a cluster says of itself: slots, who has them, and where else to go. Pure.

A key's slot is that of its hash tag; a server that is asked gives the map of all slots, and the address in an error.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SLOTS = 16_384

# The host of a node that has no name, where the cluster names its nodes and not their addresses.
_NAMELESS = "?"
# A script's key that is under way to another node, and is not among those that it was called with.
_NOT_HERE = "non local key"
_UNAVAILABLE = "cluster is down"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is. A `host` of None is the one that was asked."""

    host: str | None
    port: int


@dataclass(frozen=True, slots=True)
class Range:
    """Slots `first` to `last`, and where their primary and its replicas are."""

    first: int
    last: int
    primary: Place
    replicas: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to go with a key of this slot: with this command alone (`ask`), or from now on.

    `place` is None where the cluster names its nodes, and this one has no name.
    """

    slot: int
    place: Place | None
    port: int
    ask: bool


def slot_of(key: str) -> int:
    """The slot of a key: of what stands between its first braces, if anything does, else of all of it."""
    _, brace, rest = key.partition("{")
    tag, end, _ = rest.partition("}")
    text = tag if brace and end and tag else key
    return crc_hqx(text.encode("utf-8", "replace"), 0) % SLOTS


def ranges_of(reply: Sequence[Sequence[Any]]) -> tuple[Range, ...]:
    """What CLUSTER SLOTS answers, in order. Raises ValueError when it is none of that."""
    try:
        found = [_range(*entry) for entry in reply]
    except (TypeError, ValueError, LookupError, UnicodeDecodeError) as error:
        raise ValueError("not a map of slots") from error
    return tuple(sorted(found, key=lambda one: one.first))


def is_well(info: bytes) -> bool:
    """Whether the node that answered CLUSTER INFO so is in touch with its cluster."""
    return b"cluster_state:ok" in info


def redirect_of(error: str) -> Redirect | None:
    """`MOVED 3999 host:port`, `ASK 3999 host:port`; None for any other error."""
    code, *rest = error.split(" ")
    if code not in ("MOVED", "ASK") or len(rest) < 2 or not rest[0].isdecimal() or int(rest[0]) >= SLOTS:
        return None
    host, _, port = rest[1].rpartition(":")
    if not port.isdecimal():
        return None
    place = None if host == _NAMELESS else Place(host or None, int(port))
    return Redirect(int(rest[0]), place, int(port), ask=code == "ASK")


def is_under_way(error: str) -> bool:
    """Whether some of the keys are here and others not: their slot is being moved, key by key."""
    return error.startswith("TRYAGAIN") or _NOT_HERE in error


def is_down(error: str) -> bool:
    """Whether the node serves no slot at all now, and not just another one."""
    return error.startswith("CLUSTERDOWN") and _UNAVAILABLE in error


def _range(first: int, last: int, primary: Sequence[Any], *replicas: Sequence[Any]) -> Range:
    if not 0 <= first <= last < SLOTS:
        raise ValueError("no such slots")
    return Range(first, last, _place(primary), tuple(_place(replica) for replica in replicas))


def _place(node: Sequence[Any]) -> Place:
    """[host, port, id, [more names]]. Where there is no name, the node's address is among the other ones."""
    host = (node[0] or b"").decode()
    if host == _NAMELESS:
        names = [name.decode() for name in node[3]] if len(node) > 3 else []
        host = dict(zip(names[::2], names[1::2], strict=True)).get("ip", "")
    return Place(host or None, int(node[1]))
