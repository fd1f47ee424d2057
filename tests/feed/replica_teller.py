"""Says how an engine's replicas are, as whoever watches them would, and goes on saying it. Tests say what is true."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from headgate.feed.messages import gateway_channel, replicas_alone
from headgate.feed.replicas import Replica, ReplicaState
from tests.feed.ends import WITHIN_S

CAPACITY = 1000  # an eighth of it is more than any test asks at once
AGAIN_S = 0.3


class ReplicaTeller(threading.Thread):
    """`addresses` by a name of the test's."""

    def __init__(self, counters: Redis, gateway: str, cluster: str, addresses: Mapping[str, str]) -> None:
        super().__init__()
        self._counters, self._gateway, self._cluster, self._addresses = counters, gateway, cluster, addresses
        self._channel = gateway_channel(gateway)
        self._states = dict.fromkeys(addresses, ReplicaState.READY)
        self._lock, self.ended = threading.Lock(), threading.Event()

    def say(self, workers: int = 1, **states: ReplicaState) -> None:
        """Something new; once so many workers listen."""
        deadline = time.monotonic() + WITHIN_S
        while self._counters.pubsub_numsub(self._channel)[0][1] < workers:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self._publish(states)

    def run(self) -> None:
        while not self.ended.wait(AGAIN_S):
            self._publish({})

    def _publish(self, states: Mapping[str, ReplicaState]) -> None:
        with self._lock:
            self._states |= states
            said = [
                Replica(self._addresses[name], state, 0, 0, CAPACITY, 0.0) for name, state in self._states.items()
            ]
            self._counters.publish(self._channel, replicas_alone(self._gateway, {self._cluster: said}))


@contextmanager
def telling_replicas(
    state: Path, cluster: str, addresses: Mapping[str, str], workers: int
) -> Iterator[ReplicaTeller]:
    """All of them are ready. `state` is a gateway's folder, `workers` how many it has."""
    with Redis(unix_socket_path=str(state / "run/counters.sock"), socket_timeout=20) as counters:
        teller = ReplicaTeller(counters, (state / "gateway-id").read_text().strip(), cluster, addresses)
        teller.say(workers)
        teller.start()
        try:
            yield teller
        finally:
            teller.ended.set()
            teller.join()
