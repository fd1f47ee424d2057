"""Which adapters workers have requests for, as they say (ratelimit/adapter_calls.py): when each was used last.

While the counters are away nobody says anything: what has a place keeps it.
"""

import time
from collections.abc import Mapping

from headgate.counters.address import CountersAddress
from headgate.feed.listener import Listener
from headgate.feed.messages import CALLS_CHANNEL, Called, decoded_calls

REMEMBER_S = 86_400.0
MOST = 10_000  # names of one engine

_NONE: Mapping[str, float] = {}


class Calls(Listener):
    """Listens until it is closed. Those of other gateways are about their engines."""

    def __init__(self, address: CountersAddress, gateway: str) -> None:
        super().__init__(address, ("SUBSCRIBE", CALLS_CHANNEL))
        self._gateway = gateway
        self._at: dict[str, dict[str, float]] = {}

    def of(self, cluster: str) -> Mapping[str, float]:
        """When there was a request for each adapter last, by its name on engines; a monotonic clock's seconds."""
        return self._at.get(cluster, _NONE)

    def hear(self, message: bytes) -> bool:
        """What a worker says."""
        said = decoded_calls(message)
        if said and said.gateway in ("", self._gateway):
            self._note(said)
        return said is not None

    def _note(self, said: Called) -> None:
        now = time.monotonic()
        for cluster, names in said.names.items():
            at = self._at.setdefault(cluster, {})
            for name in names:
                at.pop(name, None)  # so that they stay in the order of their use
                at[name] = now
            while at and (len(at) > MOST or at[next(iter(at))] < now - REMEMBER_S):
                del at[next(iter(at))]
        # An engine that was edited has another cluster: nobody says anything of the one before any more.
        self._at = {name: at for name, at in self._at.items() if at and at[next(reversed(at))] >= now - REMEMBER_S}
