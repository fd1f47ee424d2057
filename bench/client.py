"""The load client: `python -m bench.client`. A batch per line of standard input, its outcome as a line of output."""

import asyncio
import sys

import msgspec
import uvloop

from bench.batch import Batch
from bench.loads import load_of


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        outcome = await load_of(msgspec.json.decode(line, type=Batch)).run()
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(_serve())
