"""Counts do not keep others waiting, are not made twice, and are not shared between tenants."""

import asyncio
import random

import pytest

from extproc.tokens import room, room_at_a_glance
from extproc.tokens.counter import INLINE, STEP, Counter
from extproc.tokens.cuts import PIECE
from tests.tokens.counting import chat, prompt, says

RANDOM = random.Random(2)  # noqa: S311 - text for a test


@pytest.fixture
def counter() -> Counter:
    made = Counter()
    made.warm(["o200k_base"])
    return made


def words(chars: int) -> str:
    text = ""
    while len(text) < chars:
        text += f"{RANDOM.choice(['gate', 'canal', 'water', 'stream'])} {RANDOM.random()}, "
    return text[:chars]


async def test_a_growing_conversation_counts_its_new_messages_only(counter: Counter) -> None:
    messages = [says("user", words(3_000))]
    alone = 0
    for turn in range(20):
        before = counter.counted_chars
        size = await counter.count(prompt(chat(*messages)), "acme")
        assert counter.counted_chars - before == len(messages[-1]["content"])
        assert size == await Counter().count(prompt(chat(*messages)), "acme")
        assert size.total > alone
        alone = size.total
        messages.append(says("assistant" if turn % 2 else "user", words(200 + turn)))


async def test_no_tenant_sees_what_another_has_counted(counter: Counter) -> None:
    asked = prompt(chat(says("user", words(1_000))))
    sizes = set()
    for number, tenant in enumerate(("acme", "globex", "acme", "globex")):
        sizes.add(await counter.count(asked, tenant))
        assert counter.counted_chars == 1_000 * min(number + 1, 2)
    assert len(sizes) == 1


async def test_an_encodings_counts_are_its_own(counter: Counter) -> None:
    body = chat(says("user", "谢谢你的帮助。" * 50))
    first = await counter.count(prompt(body, "gpt-4o"), "acme")
    second = await counter.count(prompt(body, "gpt-4"), "acme")
    assert first.total < second.total


async def test_the_cache_is_bounded() -> None:
    counter = Counter(cache_texts=10)
    texts = [words(100) for _ in range(12)]
    for text in texts:
        await counter.count(prompt(chat(says("user", text))), "acme")
    assert len(counter.cache) == 10
    await counter.count(prompt(chat(says("user", texts[-1]))), "acme")
    assert counter.counted_chars == 1_200
    await counter.count(prompt(chat(says("user", texts[0]))), "acme")
    assert counter.counted_chars == 1_300


def test_small_prompts_need_no_turn_of_the_thread(counter: Counter) -> None:
    assert counter.quick(prompt(chat(says("user", words(INLINE - 100)))), "acme")
    assert counter.quick(prompt(chat(says("user", words(INLINE + 100)))), "acme") is None
    assert Counter().quick(prompt(chat(says("user", "hello"))), "acme") is None  # it is not loaded yet
    assert Counter().quick(prompt({"prompt": [1, 2, 3]}, surface="completions"), "acme")


async def test_what_was_counted_in_the_thread_is_known_in_line(counter: Counter) -> None:
    asked = prompt(chat(says("user", words(100_000))))
    assert counter.quick(asked, "acme") is None
    size = await counter.count(asked, "acme")
    assert counter.quick(asked, "acme") == size


@pytest.mark.parametrize(
    "text",
    ["a" * 400_000, " " * 400_000, "\n" * 400_000, "是" * 130_000, "^" * 400_000, "\ud800" * 100_000, words(400_000)],
    ids=["a", "space", "line", "han", "caret", "half a pair", "words"],
)
async def test_the_work_grows_with_the_text_and_no_faster(counter: Counter, text: str) -> None:
    calls = list[int]()
    encoding = counter.encoding("o200k_base")
    encode = encoding.encode_ordinary

    def counted(piece: str) -> list[int]:
        calls.append(len(piece))
        return encode(piece)

    encoding.encode_ordinary = counted  # type: ignore[method-assign, assignment]
    size = await counter.count(prompt(chat(says("user", text))), "acme")
    assert sum(calls) == len(text)
    assert max(calls) <= PIECE
    assert len(calls) <= 2 * len(text) // PIECE + 1
    assert 0 < size.total <= len(text.encode(errors="surrogatepass")) + 7


async def test_a_huge_prompt_lets_a_large_one_pass(counter: Counter) -> None:
    ended = list[str]()

    async def count(name: str, chars: int) -> None:
        await counter.count(prompt(chat(says("user", words(chars)))), name)
        ended.append(name)

    huge = asyncio.create_task(count("huge", 40 * STEP))
    await asyncio.sleep(0)  # it is first in the thread's queue
    await asyncio.gather(count("large", STEP // 2), count("small", 100), huge)
    assert ended == ["small", "large", "huge"]


async def test_a_count_that_nobody_waits_for_ends(counter: Counter) -> None:
    task = asyncio.create_task(counter.count(prompt(chat(says("user", words(40 * STEP)))), "acme"))
    while counter.counted_chars == 0:  # noqa: ASYNC110 - it is counted in a thread
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await counter.count(prompt(chat(says("user", words(STEP)))), "acme")  # in the same thread, after it
    assert counter.counted_chars < 10 * STEP


@pytest.mark.parametrize(
    ("tokens", "asked", "window", "expected"),
    [(100, 1, 101, True), (100, 1, 100, False), (0, 0, 0, True), (5, 4096, 8192, True), (4097, 4096, 8192, False)],
)
def test_room(tokens: int, asked: int, window: int, expected: bool) -> None:
    assert room(tokens, asked, window) is expected


def test_what_is_known_at_a_glance() -> None:
    text = words(8_000)
    asked = prompt(chat(says("user", text)))
    assert room_at_a_glance(asked, 100, 8_200) is True
    assert room_at_a_glance(asked, 100, 8_000) is None
    assert room_at_a_glance(prompt(chat(says("user", text * 200))), 100, 8_200) is False
    assert room_at_a_glance(prompt({"prompt": [[1] * 9, [2] * 5]}, surface="completions"), 1, 10) is True
    assert room_at_a_glance(prompt({"prompt": [[1] * 9, [2] * 5]}, surface="completions"), 2, 10) is False
