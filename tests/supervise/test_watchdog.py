"""Parts that are stopped in mid-work are killed and come back; those that only have much to do are left alone."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from headgate.supervise import parts, probes, watchdog
from headgate.supervise.part import Part, PartSpec
from headgate.supervise.watchdog import Patience
from tests.supervise.gateway_process import until

FOREVER = ("sleep", "1000")
QUICK = Patience(0.3, 1.0, every_s=0.02, silence_only=True)


class Answers:
    """A probe that says what the test wants."""

    def __init__(self) -> None:
        self.detail: str | None = None
        self.asked = 0

    async def __call__(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(0.01)
        return self.detail


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    monkeypatch.setitem(watchdog.BY_NAME, parts.LEDGER, QUICK)


@pytest.fixture
async def begin() -> AsyncIterator[Callable[[str, Answers], Part]]:
    begun: list[Part] = []
    watching: list[asyncio.Task[None]] = []

    def begin(name: str, answers: Answers) -> Part:
        part = Part(PartSpec(name, FOREVER, os.environ, answers, "digest", outlives=True), lambda: None)
        part.begin()
        begun.append(part)
        watching.append(asyncio.create_task(watchdog.watch([part])))
        return part

    yield begin
    for task in watching:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for part in begun:
        await part.stop()


async def test_a_ledger_that_is_silent_is_killed(begin: Callable[[str, Answers], Part]) -> None:
    answers = Answers()
    part = begin(parts.LEDGER, answers)
    await until(lambda: answers.asked > 3, 30)
    answers.detail = probes.SILENCE
    await until(lambda: part.restarts == 1, 30)


@pytest.mark.parametrize("detail", ["no socket yet", "refuses connections", "answers LOADING"])
async def test_what_says_so_has_much_to_do_and_is_left_alone(
    begin: Callable[[str, Answers], Part], detail: str
) -> None:
    answers = Answers()
    part = begin(parts.LEDGER, answers)
    answers.detail = detail
    await asyncio.sleep(4 * QUICK.running_s)
    assert part.restarts == 0
    assert answers.asked > watchdog.MISSES
    answers.detail = probes.SILENCE  # its patience begins with the last that it said
    await until(lambda: part.restarts == 1, 30)


async def test_one_answer_is_enough(begin: Callable[[str, Answers], Part]) -> None:
    answers = Answers()
    part = begin(parts.LEDGER, answers)
    for _ in range(6):
        answers.detail = probes.SILENCE
        await asyncio.sleep(QUICK.running_s / 3)
        answers.detail = None
        asked = answers.asked
        await until(lambda asked=asked: answers.asked > asked + 1, 30)
    assert part.restarts == 0


async def test_other_parts_are_nobodys(begin: Callable[[str, Answers], Part]) -> None:
    answers = Answers()
    answers.detail = probes.SILENCE
    part = begin(parts.SIMULATOR, answers)
    await asyncio.sleep(4 * QUICK.running_s)
    assert (part.restarts, answers.asked) == (0, 0)
    assert watchdog.BY_NAME[parts.VALKEY].running_s >= 3 * 10  # the ledger's may be shorter


async def test_the_embedded_counters_are_silent_when_they_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the watchdog goes by is what a probe of the real server says."""
    for folder in ("run", "valkey"):
        Path(folder).mkdir()  # noqa: ASYNC240
    monkeypatch.setitem(watchdog.BY_NAME, parts.VALKEY, Patience(2.0, 60.0, every_s=0.02, silence_only=True))
    part = Part(parts.valkey(os.environ), lambda: None)
    part.begin()
    try:
        async with asyncio.timeout(30):
            while await part.spec.probe():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        watching = asyncio.create_task(watchdog.watch([part]))
        assert part.process
        part.process.send(signal.SIGSTOP)
        await until(lambda: part.restarts == 1, 60)
        async with asyncio.timeout(30):
            while await part.spec.probe():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    finally:
        await part.stop()
