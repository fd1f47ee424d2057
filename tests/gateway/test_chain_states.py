"""Targets that are known to be down are left out of new plans, whatever their place in the chain."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from chains import MODELS, Chains, Told

WAIT_S = 60.0
PAUSE_S = 0.1
DOWN = ("nameless", "sick", "ejectable", "saturated")
POSITIONS = (1, 2, 3)


def model_of(down: str, position: int) -> str:
    return f"known/{down}/{position}"


for name in DOWN:
    MODELS.add(model_of(name, 1), [(name, "ok#1"), ("claude", "ok#k"), ("prefixed", "ok#k")])
    MODELS.add(model_of(name, 2), [("claude", "status_503#k"), (name, "ok#2"), ("prefixed", "ok#k")])
    MODELS.add(model_of(name, 3), [("claude", "status_503#k"), ("prefixed", "status_503#k"), (name, "ok#3")])
MODELS.add("ejecting", [("ejectable", "status_503#ejecting")], retry_on=[], max_attempts=1)
MODELS.add("occupying", [("saturated", "silent#occupying")], timeouts={"headers": "60s", "total": "60s"})
MODELS.add("limited", [("claude", "limit_event_first#limited"), ("engine", "ok#limited")])
MODELS.add("all-down", [("nameless", "ok#all"), ("sick", "ok#all")])


@asynccontextmanager
async def nothing(chains: Chains) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def ejected(chains: Chains) -> AsyncIterator[None]:
    """The endpoint that answers has failed several times in a row; the other one refuses connections all along."""
    for _ in range(12):
        assert (await chains.ask("chat", "ejecting", stream=False)).status == 503
    yield


@asynccontextmanager
async def occupied(chains: Chains) -> AsyncIterator[None]:
    """One request waits for an answer, and the provider is to get no more than one at a time."""
    waiting = asyncio.create_task(chains.ask("chat", "occupying", stream=False))
    try:
        yield
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


BRINGING = {"nameless": nothing, "sick": nothing, "ejectable": ejected, "saturated": occupied}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("down", DOWN)
async def test_a_target_that_is_known_to_be_down_is_left_out(chains: Chains, down: str, stream: bool) -> None:
    async def left_out() -> list[str]:
        told = await asyncio.gather(
            *(chains.ask("chat", model_of(down, position), stream=stream) for position in POSITIONS)
        )
        return [text for position, one in zip(POSITIONS, told, strict=True) if (text := asked(chains, position, one))]

    async with contextlib.AsyncExitStack() as stack:

        async def once() -> list[str]:
            await stack.aclose()
            await stack.enter_async_context(BRINGING[down](chains))
            return await until_none(left_out, within_s=4)  # an ejection ends after 5 s

        assert await until_none(once, within_s=WAIT_S) == []


def asked(chains: Chains, position: int, told: Told) -> str | None:
    """What is wrong with an answer, if the down target is not left out of the plan."""
    expected = [(1, "claude", 200), (2, "prefixed", 200), (2, "prefixed", 503)][position - 1]
    found = (told.attempts, told.target, told.status)
    if found != expected:
        return f"at {position}: {found} instead of {expected}"
    assert "engine" not in chains.providers.asked(told.reply.request_id)
    return None


async def until_none(of: Callable[[], Awaitable[list[str]]], within_s: float) -> list[str]:
    """Ask again until nothing is wrong; what was wrong at last."""
    deadline = time.monotonic() + within_s
    while True:
        wrong = await of()
        if not wrong or time.monotonic() > deadline:
            return wrong
        await asyncio.sleep(PAUSE_S)


async def test_a_limit_that_a_stream_tells_of_rests_the_target(chains: Chains) -> None:
    """For five seconds, since it says nothing of how long."""

    async def left_out() -> list[str]:
        told = await chains.ask("chat", "limited", stream=True)
        assert (told.text, told.target) == ("Hello from engine.", "engine")
        return [] if told.attempts == 1 else ["asked"]

    assert await left_out() == ["asked"]
    assert await until_none(left_out, within_s=4) == []


async def test_when_all_are_down_the_least_bad_one_is_tried(chains: Chains) -> None:
    async def tried() -> list[str]:
        told = await chains.ask("chat", "all-down", stream=False)
        good = told.status == 200 and (told.target, told.attempts) == ("sick", 1)
        return [] if good else [f"{told.status} from {told.target} after {told.attempts}"]

    assert await until_none(tried, WAIT_S) == []
