"""A thread that answers questions about a chdb store on a state directory's run/usage.sock."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.contract import USAGE_SOCKET
from ledger.store.client import Store
from ledger.store.questions import Questions
from tests.ledger.stored_rows import opened


@contextmanager
def usage_part(state: Path, stored_until_ms: int = 0) -> Iterator[Store]:
    """The store that it answers from, empty."""
    (state / USAGE_SOCKET).parent.mkdir(parents=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    with opened(state / "usage") as store:
        questions = Questions(store, lambda: stored_until_ms)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for answer in questions.answer(await reader.readline()):
                writer.write(answer)
                await writer.drain()
            writer.close()

        server = loop.run_until_complete(asyncio.start_unix_server(connected, str(state / USAGE_SOCKET)))
        thread.start()
        try:
            yield store
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            questions.close()
            loop.close()
