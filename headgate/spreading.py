"""In which order replicas of an engine are asked: those that hold the adapter, then where the prompt's beginning may
be cached, unless that one is busier than its share; then the least busy. Pure.

A rendezvous hash says which replica a beginning belongs to, whoever asks, and which one is next: where a replica
comes or goes, only its own beginnings move. Its load is bounded (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing
with Bounded Loads, 2016).
"""

import hashlib
import math
import random
from collections.abc import Callable, Sequence

from headgate.feed.replicas import Replica, ReplicaState
from headgate.feed.states import EVERY_MODEL, endpoint_name

MOST_HOSTS = 10  # attempts that a request has at most (headgate/config/model.py)
FACTOR = 1.25  # times its fair share: more, and the next replica takes over
ALWAYS = 1 / 8  # of what a replica runs at once: so much it takes anyway, a batch of that size slows nobody down much
KV_FULL = 0.95  # an engine without room in its KV cache throws out requests that run

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


def key_of(tenant: str, model: str, leading: str) -> bytes:
    """What requests that may share a cached prefix have in common; never those of two tenants."""
    # What clients write may be any text, half a surrogate pair too, and stands last: the names have no NUL.
    said = "\0".join((tenant, model, leading)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, digest_size=16).digest()


def ranked(
    replicas: Sequence[Replica], model: str, key: bytes | None, draw: random.Random = _random
) -> list[Replica]:
    """Those that take requests, most preferred first; last those that are about to stop, none that do not run.

    `key` None: no replica is better than another one for it, but for its load.
    """
    holding: list[Replica] = []
    others: list[Replica] = []
    draining: list[Replica] = []
    for one in replicas:
        if one.state is ReplicaState.READY:
            (holding if model in one.adapters else others).append(one)
        elif one.state is ReplicaState.DRAINING:
            draining.append(one)
    return _spread(holding, key, draw) + _spread(others, key, draw) + _least_busy(draining)


def hosts_of(
    replicas: Sequence[Replica], cluster: str, model: str, key: bytes | None, state_of: Callable[[str, str], int]
) -> list[str]:
    """Addresses of those that take requests, in their order; `state_of` is Envoy's word of an endpoint."""
    found = [one.address for one in ranked(replicas, model, key)]
    # Last those that Envoy has ejected: it would take them all the same.
    return sorted(found, key=lambda address: state_of(endpoint_name(cluster, address), EVERY_MODEL))


def renewed(planned: Sequence[str], now: Sequence[str], replicas: Sequence[Replica]) -> list[str]:
    """What was planned for all attempts, with one engine's `replicas` in the order that is right `now`.

    They keep the places that they had among those of other engines: Envoy never goes back in the list.
    """
    own, now = {one.address for one in replicas}, now[:MOST_HOSTS]
    places = [number for number, address in enumerate(planned) if address in own]
    end = places[-1] + 1 if places else 0
    left, before = list(now), []
    for address in planned[:end]:
        if address not in own:
            before.append(address)
        elif left:
            before.append(left.pop(0))
    return [*before, *left, *planned[end:]]


def _spread(replicas: list[Replica], key: bytes | None, draw: random.Random) -> list[Replica]:
    """Those with room for one more first, the others as busy as they are."""
    if len(replicas) < 2:
        return replicas
    in_turn = _two_drawn(replicas, draw) if key is None else sorted(replicas, key=lambda one: _score(key, one))
    share = FACTOR * (sum(map(_requests, replicas)) + 1) / sum(map(_size, replicas))
    with_room: list[Replica] = []
    others: list[Replica] = []
    for one in in_turn:
        (with_room if _has_room(one, share) else others).append(one)
    return with_room + _least_busy(others)


def _has_room(replica: Replica, share: float) -> bool:
    """Whether it can begin with one more at once, and is not too busy for its size."""
    if replica.waiting or replica.kv_used >= KV_FULL:
        return False
    size = _size(replica)
    return replica.running < min(size, max(math.ceil(share * size), math.ceil(ALWAYS * size)))


def _score(key: bytes, replica: Replica) -> bytes:
    return hashlib.blake2b(replica.address.encode(), digest_size=8, key=key).digest()


def _two_drawn(replicas: list[Replica], draw: random.Random) -> list[Replica]:
    """First the less busy of two, then the others as busy as they are: not all who see the same choose the same."""
    in_turn = _least_busy(draw.sample(replicas, len(replicas)))
    first = _least_busy(draw.sample(replicas, 2))[0]
    return [first, *(one for one in in_turn if one is not first)]


def _least_busy(replicas: list[Replica]) -> list[Replica]:
    return sorted(replicas, key=_busy) if len(replicas) > 1 else replicas


def _busy(replica: Replica) -> float:
    return _requests(replica) / _size(replica)


def _requests(replica: Replica) -> int:
    return replica.running + replica.waiting


def _size(replica: Replica) -> int:
    return max(replica.capacity, 1)
