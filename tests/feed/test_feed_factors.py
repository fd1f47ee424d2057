"""How far counts of prompts are off, over a real server: heard by all workers at once, and those that come late."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headgate.counters.address import parsed
from headgate.feed.factors import HIGHEST, LOWEST, Factors
from headgate.feed.messages import decoded, whole
from headgate.feed.states import State, TargetStates
from headgate.feed.subscriber import Subscriber
from tests.feed.ends import telling, until

LLAMA, GPT = ("openai", "org/llama"), ("openai", "gpt-5")


@asynccontextmanager
async def listening(url: str, gateway: str | None) -> AsyncIterator[Factors]:
    factors = Factors()
    subscriber = Subscriber(parsed(url), gateway, TargetStates(), factors)
    subscriber.start()
    try:
        yield factors
    finally:
        await subscriber.close()


async def test_all_workers_learn_it_at_once_and_late_ones_too(url: str) -> None:
    async with telling(url, "g1") as publisher, listening(url, "g1") as early:
        publisher.take_factors({LLAMA: 1.25})
        await until(lambda: early.of(*LLAMA) == 1.25)
        async with listening(url, "g1") as late, listening(url, None) as of_nobody, listening(url, "g2") as other:
            await until(lambda: late.of(*LLAMA) == 1.25 and of_nobody.of(*LLAMA) == 1.25)
            assert other.of(*LLAMA) == 1.0
        publisher.take_factors({GPT: 0.9})
        await until(lambda: early.of(*GPT) == 0.9)
        assert early.of(*LLAMA) == 1.0
        assert early.of("anthropic", "org/llama") == 1.0


async def test_silence_takes_nothing_back(url: str) -> None:
    async with listening(url, "g1") as factors:
        async with telling(url, "g1") as publisher:
            publisher.take_factors({LLAMA: 2.5})
            await until(lambda: factors.of(*LLAMA) == 2.5)
        async with telling(url, "g2") as publisher:  # another gateway's ledger
            publisher.take_factors({LLAMA: 0.5})
            async with listening(url, "g2") as other:
                await until(lambda: other.of(*LLAMA) == 0.5)
        assert factors.of(*LLAMA) == 2.5


def test_whatever_is_said_stays_within_bounds() -> None:
    factors = Factors()
    factors.take("g1", {LLAMA: 1e9, GPT: -3.0})
    assert (factors.of(*LLAMA), factors.of(*GPT)) == (HIGHEST, LOWEST)
    factors.take("g1", {})
    assert (factors.of(*LLAMA), factors.of(*GPT)) == (1.0, 1.0)


def test_messages_with_and_without_factors() -> None:
    said = decoded(whole("g1", {}, [], {LLAMA: 1.25}).encode())
    assert said is not None
    assert said.all_factors() == {LLAMA: 1.25}
    older = decoded(json.dumps({"gateway": "g1", "health": {"provider/a@0": "ejected"}}).encode())
    assert older is not None
    assert older.factors is None
    assert older.states() == {"provider/a@0": State.EJECTED}
    for junk in ([["openai", "m", 2]], [{"api": "openai", "model": "m", "factor": "2"}], [{"api": 1}], {}):
        assert decoded(json.dumps({"gateway": "g1", "factors": junk}).encode()) is None
