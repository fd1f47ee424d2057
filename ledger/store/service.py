"""The usage store's process: its writer, and the socket that answers questions about it.

The only one that opens the store, so that nothing of it touches settlement. What is asked waits for nobody but the
store: a writer that can't write keeps no question from its answer.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any

import msgspec
import structlog
import uvloop

from headgate.contract import LEDGER, USAGE_SOCKET, USAGE_STORE, USAGE_URL_ENV
from headgate.feed.identity import gateway_id, make_gateway_id
from headgate.lifeline import until_end
from headgate.standing import ASK_STANDING
from headgate.store_url import parse
from headgate.usage_questions import LINE_BYTES
from ledger.journal.reader import JournalReader
from ledger.journal.stored_until import StoredUntil
from ledger.store.client import Store
from ledger.store.erasing import StoreEraser
from ledger.store.migrations import bring_up, migrations
from ledger.store.questions import Questions
from ledger.store.writer import Writer

JOURNAL = LEDGER / "usage.db"
LINE_WITHIN_S = 10.0
END_S = 3.0  # for the block that it is at, once it is told to stop

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Keeps the store of the working directory until SIGTERM, SIGINT or, with `lifeline`, the end of its stdin."""
    for folder in (LEDGER, USAGE_SOCKET.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    ended = uvloop.run(_serve(lifeline=lifeline))
    if not ended:  # a thread that waits for a store would keep the process
        sys.stdout.flush()
        os._exit(0)


async def _serve(*, lifeline: bool) -> bool:
    url = os.environ.get(USAGE_URL_ENV)
    steps = migrations()
    store = Store(parse(url) if url else None, USAGE_STORE, lambda client: bring_up(client, steps))
    writer = Writer(store, JournalReader(JOURNAL), gateway_id() or make_gateway_id())
    eraser = StoreEraser(store, writer, JournalReader(JOURNAL))
    loop = asyncio.get_running_loop()
    writing = loop.create_future()
    until = StoredUntil(JournalReader(JOURNAL), writer.is_done_with)
    thread = threading.Thread(target=_write, args=(writer, eraser, until, loop, writing), daemon=True)
    thread.start()
    questions = Questions(store, lambda: until.ms, own=lambda: (writer.gateway, writer.mark), freshen=writer.freshen)
    listener = await _listen(store, questions)
    log.info("usage store's part started", pid=os.getpid())
    ends = asyncio.create_task(until_end(lifeline=lifeline))
    await asyncio.wait({ends, writing}, return_when=asyncio.FIRST_COMPLETED)
    writer.rounds.stop()
    listener.close()
    questions.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(writing), END_S)  # raises what it failed of: it is started again then
    if writing.done():
        store.close()
    log.info("usage store's part stopped")
    return writing.done()


def _write(
    writer: Writer,
    eraser: StoreEraser,
    until: StoredUntil,
    loop: asyncio.AbstractEventLoop,
    writing: "asyncio.Future[None]",
) -> None:
    """A thread's whole work; `writing` has what became of it."""

    def look() -> None:
        eraser.look()
        until.look()

    try:
        writer.run(look, before=until.renew)
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        found: Exception | None = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
    else:
        found = None
    with contextlib.suppress(RuntimeError):  # the loop has ended first
        loop.call_soon_threadsafe(_end, writing, found)


def _end(writing: "asyncio.Future[None]", error: Exception | None) -> None:
    if error is None:
        writing.set_result(None)
    else:
        writing.set_exception(error)


async def _listen(store: Store, questions: Questions) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError):  # it left, or writes no line
            async with asyncio.timeout(LINE_WITHIN_S):
                line = await reader.readline()
            if line == ASK_STANDING:
                writer.write(msgspec.json.encode(store.standing) + b"\n")
            elif line:
                await _while_there(reader, _tell(questions, line, writer))
        writer.close()

    USAGE_SOCKET.unlink(missing_ok=True)
    return await asyncio.start_unix_server(connected, str(USAGE_SOCKET), limit=LINE_BYTES)


async def _tell(questions: Questions, line: bytes, writer: asyncio.StreamWriter) -> None:
    async for answer in questions.answer(line):
        writer.write(answer)
        async with asyncio.timeout(LINE_WITHIN_S):
            await writer.drain()


async def _while_there(reader: asyncio.StreamReader, telling: Coroutine[Any, Any, None]) -> None:
    """Who has asked and left waits for nothing: its question is not put to the store if it has not been yet."""
    told, left = asyncio.create_task(telling), asyncio.create_task(_left(reader))
    try:
        await asyncio.wait({told, left}, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            told.result()
    finally:
        told.cancel()
        left.cancel()
        await asyncio.gather(told, left, return_exceptions=True)


async def _left(reader: asyncio.StreamReader) -> None:
    while await reader.read(LINE_BYTES):
        pass
