"""Hot loading as the part `engines` runs it: beside the watch, on what the working directory has."""

import asyncio
from collections.abc import Callable, Sequence

from engines.loading.calls import Calls
from engines.loading.loader import Loader
from engines.loading.places import Accepted, Places
from engines.loading.telling import ReportTeller
from engines.watch.replica import Replica
from headgate.contract import CONTROL_API_SOCKET, DIRECTORY
from headgate.counters.address import counters_address
from headgate.directory.following import Following
from headgate.snapshot import Snapshot


class Adapters:
    """`snapshot` and `replicas` are what the watch goes by. Needs a running loop."""

    def __init__(
        self, snapshot: Callable[[], Snapshot | None], replicas: Callable[[], Sequence[Replica]], gateway: str
    ) -> None:
        self._following = Following(DIRECTORY)
        self._places = Places(Accepted())
        self._calls = Calls(counters_address(), gateway)
        teller = ReportTeller(CONTROL_API_SOCKET)
        self._loader = Loader(self._following, snapshot, replicas, self._places.files_of, teller, self._calls.of)

    def news(self) -> None:
        """A replica may have changed."""
        self._loader.news()

    def are_on(self, replica: Replica) -> bool:
        """Whether it has all that requests are led to, as far as it can."""
        return self._loader.has_adapters(replica)

    def hidden(self, engine: str) -> frozenset[str]:
        """Adapters that requests are not to be led to any more, where they still are."""
        return self._loader.hidden(engine)

    async def run(self) -> None:
        """Until cancelled. Adapters stay where they are then."""
        self._calls.start()
        try:
            await asyncio.gather(self._following.follow(), self._loader.run())
        finally:
            await self._calls.close()
