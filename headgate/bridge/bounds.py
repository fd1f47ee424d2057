"""How much the bridge takes on, from everybody and from one tenant. docs/security.md has the numbers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CONNECTIONS = 1_000
CONNECTIONS_OF_TENANT = 200
RUNNING_OF_TENANT = 256  # responses; more wait
MESSAGE_BYTES = 256 * 2**20  # of messages that are arriving, wait or are being answered
MEMORY_BYTES = 256 * 2**20  # of conversations


class FullError(Exception):
    """There are as many connections as may be: of the tenant's (`own`), or of everybody's."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own


@dataclass(slots=True)
class Share:
    """One tenant's."""

    connections: int = 0
    running: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RUNNING_OF_TENANT))


class Bounds:
    """One for a process."""

    def __init__(self) -> None:
        self.connections = 0
        self.message_bytes = 0
        self._shares: dict[str, Share] = {}

    def check(self, tenant: str) -> None:
        """Raises FullError where one more connection would be too many."""
        share = self._shares.get(tenant)
        if share and share.connections >= CONNECTIONS_OF_TENANT:
            raise FullError(own=True)
        if self.connections >= CONNECTIONS:
            raise FullError(own=False)

    @contextmanager
    def connection(self, tenant: str) -> Iterator[Share]:
        """While it lasts, it counts."""
        share = self._shares.setdefault(tenant, Share())
        share.connections += 1
        self.connections += 1
        try:
            yield share
        finally:
            share.connections -= 1
            self.connections -= 1
            if not share.connections:
                del self._shares[tenant]

    def has_room(self, most_bytes: int) -> bool:
        """For what clients send; one message of the allowed size always has."""
        return self.message_bytes <= max(MESSAGE_BYTES, 2 * most_bytes)
