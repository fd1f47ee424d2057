"""The process that tells usage to Kafka: the outbox in a thread, and a socket that says how it is.

It runs only where `services.events` names brokers, beside the ledger: whatever it meets, settling does not notice.
"""

import asyncio
import contextlib
import os
import threading

import msgspec
import structlog
import uvloop

from headgate.contract import EVENTS_SOCKET, EVENTS_URL_ENV, LEDGER
from headgate.feed.identity import gateway_id, make_gateway_id
from headgate.kafka_url import kafka_target
from headgate.lifeline import until_end
from ledger.events.outbox import Outbox
from ledger.events.sender import Sender
from ledger.journal.reader import JournalReader

USAGE = LEDGER / "usage.db"

log = structlog.get_logger()


def run(*, lifeline: bool) -> None:
    """Tell what is in the working directory's journal until SIGTERM, SIGINT or, with `lifeline`, stdin's end."""
    for folder in (LEDGER, EVENTS_SOCKET.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    uvloop.run(_serve(lifeline=lifeline))


async def _serve(*, lifeline: bool) -> None:
    sender = Sender(kafka_target(os.environ.get(EVENTS_URL_ENV)), lambda text: outbox.problem(text))
    outbox = Outbox(JournalReader(USAGE), sender.send, f"headgate/{gateway_id() or make_gateway_id()}", LEDGER)
    EVENTS_SOCKET.unlink(missing_ok=True)
    listener = await asyncio.start_unix_server(_answering(outbox), str(EVENTS_SOCKET))
    stop = threading.Event()
    working = asyncio.create_task(asyncio.to_thread(outbox.work, stop))
    ends = asyncio.create_task(until_end(lifeline=lifeline))
    log.info("events started", pid=os.getpid())
    await asyncio.wait({working, ends}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    listener.close()
    await working  # raises what it failed of: then a supervisor starts it again
    await asyncio.to_thread(sender.close)
    log.info("events stopped")


def _answering(outbox: Outbox) -> "asyncio.streams._ClientConnectedCallback":
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(outbox.standing) + b"\n")
            await writer.drain()
        writer.close()

    return answer
