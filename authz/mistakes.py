"""How many bad keys came from where, and how late the next refusal is for it. Pure; the clock's time comes in.

Counted by address and by the network around it: an IPv4 address and its /24; of IPv6 the /64, which is one
customer's, and the /48. Counts go down with time, and both tables are bounded: what was seen longest ago goes first.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

KEPT = 10_000  # of each table: about 5 MB together
LONGEST_S = 2.0  # Envoy waits 4 s for an answer
FIRST_S = 0.1
_STEPS = 10  # mistakes above the free ones that count; what is beyond makes nothing later


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many mistakes are free, and how many of them are forgotten in a second."""

    free: int
    forgotten_per_s: float


ADDRESS, NETWORK = Bounds(10, 0.1), Bounds(50, 0.5)
_BITS = {4: (32, 24), 6: (64, 48)}  # of an address that tell the one and the other, by IP version


@dataclass(frozen=True, slots=True)
class Place:
    """Where mistakes are counted together."""

    bounds: Bounds
    name: str


class Mistakes:
    """Of one process."""

    def __init__(self) -> None:
        self._tables: dict[Bounds, OrderedDict[str, tuple[float, float]]] = {
            bounds: OrderedDict() for bounds in (ADDRESS, NETWORK)
        }

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def note(self, places: list[Place], now: float) -> float:
        """One more in each of these; how many seconds its answer has to wait. `now` only ever grows."""
        return max(self._note(place, now) for place in places)

    def _note(self, place: Place, now: float) -> float:
        bounds, table = place.bounds, self._tables[place.bounds]
        before, at = table.pop(place.name, (0.0, now))
        count = max(before - (now - at) * bounds.forgotten_per_s, 0.0) + 1
        table[place.name] = min(count, float(bounds.free + _STEPS)), now
        if len(table) > KEPT:
            table.popitem(last=False)
        over = count - bounds.free
        return min(FIRST_S * 2 ** (over - 1), LONGEST_S) if over > 0 else 0.0


def places_of(address: str) -> list[Place]:
    """What counts for an address, the narrowest first; all text that is none is one place."""
    try:
        found = ip_address(address)
    except ValueError:
        return [Place(ADDRESS, "")]
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    number, all_bits = int(found), found.max_prefixlen
    return [
        Place(bounds, f"{found.version}:{number >> (all_bits - bits):x}/{bits}")
        for bounds, bits in zip((ADDRESS, NETWORK), _BITS[found.version], strict=True)
    ]
