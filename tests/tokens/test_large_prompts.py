"""A prompt of 400 kB through the service: none of it is counted where other requests wait, and they pass it.

How late they are is measured by lateness.py; what decides here is how much is done at once, and where.
"""

import asyncio
import json
import threading

import pytest

from extproc.tokens.counter import INLINE, Counter
from extproc.tokens.cuts import PIECE
from tests.extproc.counted import CHAT, Service, says
from tests.tokens.lateness import CHARS, in_messages, words

Calls = list[tuple[int, int]]  # the thread, the characters


def watched() -> tuple[Service, Calls]:
    """A service, and what its tokenizer is given."""
    service, calls = Service(Counter()), Calls()
    encoding = service.counter.encoding("o200k_base")
    encode = encoding.encode_ordinary

    def noted(piece: str) -> list[int]:
        calls.append((threading.get_ident(), len(piece)))
        return encode(piece)

    encoding.encode_ordinary = noted  # type: ignore[method-assign, assignment]
    return service, calls


LARGE = {
    "words": json.dumps(says(words())).encode(),
    "not ASCII": json.dumps(says(words(CHARS, "été")), ensure_ascii=False).encode(),
    "messages": in_messages(words()),
    "short messages": in_messages(words(), 100),
    "letters": json.dumps(says("a" * CHARS)).encode(),
}


@pytest.mark.parametrize("name", LARGE)
async def test_it_is_counted_elsewhere_piece_by_piece(name: str) -> None:
    service, calls = watched()
    reply = await service.asked(CHAT, LARGE[name])
    assert reply.status is None
    assert sum(chars for _, chars in calls) == service.counter.counted_chars >= CHARS
    assert {thread for thread, _ in calls}.isdisjoint({threading.get_ident()})
    assert max(chars for _, chars in calls) <= PIECE


async def test_what_is_counted_in_line_is_little() -> None:
    service, calls = watched()
    for chars in (10, 100, INLINE - 40, INLINE + 1, 3 * INLINE, 50_000):
        await service.asked(CHAT, json.dumps(says(words(chars))).encode())
    here = [chars for thread, chars in calls if thread == threading.get_ident()]
    assert here == [10, 100, INLINE - 40]


async def test_others_pass_it() -> None:
    """Each of them is answered while it is counted, whatever that takes."""
    service, calls = watched()
    ended = list[str]()

    async def ask(name: str, body: bytes) -> None:
        await service.asked(CHAT, body)
        ended.append(name)

    large = asyncio.create_task(ask("large", LARGE["words"]))
    await asyncio.sleep(0)  # it is the first in the thread's queue
    for number in range(3):
        await ask(f"small {number}", json.dumps(says(f"hello {number}")).encode())
    await asyncio.gather(large, ask("middling", json.dumps(says(words(2 * INLINE))).encode()))
    assert ended[:3] == ["small 0", "small 1", "small 2"]
    assert ended.index("middling") < ended.index("large")
    assert {chars for thread, chars in calls if thread == threading.get_ident()} == {len("hello 0")}


async def test_of_a_growing_one_the_new_part_is_counted() -> None:
    service, calls = watched()
    messages = [{"role": "user", "content": words(CHARS)}]
    for turn in range(4):
        body = json.dumps({"model": "gpt", "messages": messages}).encode()
        calls.clear()
        assert (await service.asked(CHAT, body)).status is None
        assert sum(chars for _, chars in calls) == len(messages[-1]["content"])
        messages.append({"role": "assistant", "content": words(100 + turn)})
