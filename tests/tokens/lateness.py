"""How late a worker's short requests are while it counts prompts of 400 kB: `python -m tests.tokens.lateness`.

Figures are worth something on an idle machine alone (`chrt -f 50` helps elsewhere); no test decides by them.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator

from extproc.tokens.counter import Counter
from headgate.wire.ext_proc_pb2 import ProcessingRequest
from tests.extproc.counted import CHAT, Service, says
from tests.extproc.ext_proc_client import Call, awaited

CHARS = 400_000
SECONDS = 3.0
PAUSE_S = 0.03  # after each large one
_RANDOM = random.Random(3)  # noqa: S311 - text for a measurement

Messages = tuple[bytes, bytes]


def words(chars: int = CHARS, *more: str) -> str:
    """Text that no cache knows."""
    found, length = list[str](), 0
    while length < chars:
        found.append(f"{_RANDOM.choice(['gate', 'canal', 'water', 'stream', *more])} {_RANDOM.random()}, ")
        length += len(found[-1])
    return "".join(found)[:chars]


def in_messages(text: str, each: int = 2_000) -> bytes:
    """A conversation."""
    turns = [{"role": "user", "content": text[at : at + each]} for at in range(0, len(text), each)]
    return json.dumps({"model": "gpt", "messages": turns}).encode()


SHAPES: dict[str, Callable[[], bytes]] = {
    "one text": lambda: json.dumps(says(words())).encode(),
    "one text, not ASCII": lambda: json.dumps(says(words(CHARS, "été")), ensure_ascii=False).encode(),
    "200 messages": lambda: in_messages(words()),
}


def wire(body: bytes) -> Messages:
    """What Envoy sends of a request."""
    start, following = ProcessingRequest(), ProcessingRequest()
    for name, value in ((":method", "POST"), (":path", CHAT), ("content-type", "application/json")):
        start.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    start.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].update({"tenant": "acme"})
    following.request_body.body, following.request_body.end_of_stream = body, True
    return start.SerializeToString(), following.SerializeToString()


async def serve(service: Service, messages: Messages) -> None:
    """One request, as the gRPC server has it handled."""
    handler = service.method.handler(Call())
    for message in messages:
        reply = handler.on_message(service.method.decode(message))
        if not isinstance(reply, tuple):
            await awaited(reply)


async def lateness(service: Service, small: Iterator[Messages], large: list[Messages]) -> tuple[list[float], int]:
    """Milliseconds from when each short request was due to its plan, sorted; and how many large ones there were."""
    late, done = list[float](), 0

    async def keep_busy() -> None:
        nonlocal done
        for messages in large:
            await serve(service, messages)
            done += 1
            await asyncio.sleep(PAUSE_S)

    busy = asyncio.create_task(keep_busy())
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        await serve(service, next(small))
        late.append((time.perf_counter() - due) * 1000)
    busy.cancel()
    return sorted(late), done


async def report() -> None:
    """A table."""
    service = Service(Counter())
    small = itertools.cycle([wire(json.dumps(says(f"hello {number}")).encode()) for number in range(400)])
    print(f"{'meanwhile':<24}{'large':>6}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}")  # noqa: T201
    for name, shape in {"nothing": None, **SHAPES}.items():
        large = [wire(shape()) for _ in range(60)] if shape else []
        late, done = await lateness(service, small, large)
        p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
        print(f"{name:<24}{done:>6}{p50:>8.2f}{p99:>8.2f}{late[-1]:>8.2f}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(report())
