"""When a part's process ends: by a signal or, where it has one, with its supervisor. Takes a running event loop.

The lifeline is stdin: the supervisor holds the other end of the pipe and never writes.
"""

import asyncio
import signal
import sys


async def until_end(*, lifeline: bool) -> None:
    """Returns on SIGTERM, on SIGINT and, with `lifeline`, at the end of stdin."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_watch_stdin(ended)) if lifeline else None
    await ended.wait()
    if watch:
        watch.cancel()


async def _watch_stdin(ended: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    ended.set()
