"""Where managed replicas listen, and which GPUs each has: given once, and kept as long as that is possible. Pure.

Who keeps them is `headgate.supervise.engine_places`. Without a state directory, for `headgate check` and `headgate
render`, all replicas have the place that they would like best.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headgate.config.engines import Engine

# Below the ports that systems hand out by themselves (from 32768), and those of Kubernetes' services (from 30000).
FIRST_PORT, LAST_PORT = 20_000, 29_999


@dataclass(frozen=True, slots=True)
class Place:
    """One replica's: its port on loopback, its GPUs by number."""

    port: int
    gpus: tuple[int, ...] = ()


Places = Mapping[str, Sequence[Place]]
"""By the engine's name, in the order of its replicas."""

_Replica = tuple[str, int]  # an engine, and the number of one of its replicas


def given_places(
    engines: Mapping[str, Engine],
    known: Places | None = None,
    usable: Callable[[int], bool] | None = None,
    home: str = "",
) -> dict[str, tuple[Place, ...]]:
    """A place for each replica of the managed ones: the `known` one, as far as its port is `usable`, its GPUs free.

    Ports that are new differ from `home` to `home`, so that gateways of one machine seldom want the same. Raises
    ValueError when there is none left.
    """
    managed = {name: engine for name, engine in engines.items() if engine.managed}
    replicas = [(name, index) for name, engine in managed.items() for index in range(engine.replicas)]
    before = {(name, index): place for name, places in (known or {}).items() for index, place in enumerate(places)}
    ports = _given_ports(replicas, before, usable or (lambda _: True), home)
    gpus = _given_gpus({replica: managed[replica[0]].devices for replica in replicas}, before)
    return {
        name: tuple(Place(ports[name, index], gpus[name, index]) for index in range(engine.replicas))
        for name, engine in managed.items()
    }


def _given_ports(
    replicas: Sequence[_Replica], before: Mapping[_Replica, Place], usable: Callable[[int], bool], home: str
) -> dict[_Replica, int]:
    # Ports of replicas that are not wanted any more are not given to others: they may still be running.
    taken = {place.port for place in before.values()}
    given: dict[_Replica, int] = {}
    for replica in replicas:
        place = before.get(replica)
        if place and usable(place.port):
            given[replica] = place.port
        else:
            given[replica] = _new_port(f"{home}/{replica[0]}/{replica[1]}", taken, usable)
            taken.add(given[replica])
    return given


def _new_port(name: str, taken: set[int], usable: Callable[[int], bool]) -> int:
    """The one that a name likes best, or the next one that is free."""
    count = LAST_PORT - FIRST_PORT + 1
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % count
    for step in range(count):
        port = FIRST_PORT + (first + step) % count
        if port not in taken and usable(port):
            return port
    raise ValueError(f"no port from {FIRST_PORT} to {LAST_PORT} is free for a replica of an engine")


def _given_gpus(devices: Mapping[_Replica, int], before: Mapping[_Replica, Place]) -> dict[_Replica, tuple[int, ...]]:
    """Those that have theirs already come first, then those that get more or fewer: of their own and of such as no
    replica has that stays, so that none waits for another one's end. New ones get what is left, and wait for it.
    """
    had = {replica: before[replica].gpus for replica in devices if replica in before}
    staying = {number for numbers in had.values() for number in numbers}
    taken: set[int] = set()
    given: dict[_Replica, tuple[int, ...]] = {}
    for replica, count in devices.items():
        if len(had.get(replica, ())) == count and taken.isdisjoint(had.get(replica, ())):
            given[replica] = had.get(replica, ())
            taken.update(given[replica])
    left = [replica for replica in devices if replica not in given]
    for replica in sorted(left, key=lambda replica: not had.get(replica)):
        own = [number for number in had.get(replica, ()) if number not in taken]
        others = taken.union(own, staying if own else ())
        more = (number for number in itertools.count() if number not in others)
        given[replica] = tuple(sorted(itertools.islice(itertools.chain(own, more), devices[replica])))
        taken.update(given[replica])
    return given
