"""Parts on real processes: started, watched, restarted, ended, and taken over from a dead supervisor."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from headgate.supervise import Refusal
from headgate.supervise.part import Backoff, Part, PartSpec
from headgate.supervise.process import Identity, Process, start_ticks_of
from headgate.supervise.readiness import until_ready

FOREVER = ("sleep", "600")


async def _always_ready() -> str | None:
    return None


def _spec(*command: str, outlives: bool = True, before_start: Callable[[], None] | None = None) -> PartSpec:
    return PartSpec("part", command, os.environ, _always_ready, "digest", outlives, before_start=before_start)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    return tmp_path


@pytest.fixture
async def begin() -> AsyncIterator[Callable[..., Part]]:
    begun: list[Part] = []

    def begin(spec: PartSpec, adopted: Process | None = None, restarts: int = 0) -> Part:
        part = Part(spec, lambda: None, adopted, restarts)
        begun.append(part)
        part.begin()
        return part

    yield begin
    for part in begun:
        await part.stop()


async def _until(condition: Callable[[], object], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.005)


def test_backoff_grows_to_five_seconds_and_a_stable_life_starts_over() -> None:
    backoff = Backoff()
    assert [backoff.pause_s(1) for _ in range(8)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5]
    assert backoff.pause_s(10) == 0
    assert backoff.pause_s(9.9) == 0.1


async def test_a_killed_part_is_back_within_50_ms(begin: Callable[..., Part]) -> None:
    part = begin(_spec(*FOREVER))
    first = part.process
    assert first
    os.kill(first.pid, signal.SIGKILL)
    await asyncio.sleep(0.05)
    assert part.process
    assert part.process.pid != first.pid
    assert part.restarts == 1


async def test_a_crash_loop_is_slowed_down(begin: Callable[..., Part], state: Path) -> None:
    part = begin(_spec("sh", "-c", "echo here we go again; exit 3"))
    await asyncio.sleep(0.5)
    # At 0, 0, 0.1 and 0.3 s; the next at 0.7 s.
    assert 2 <= part.restarts <= 3
    assert set(_lines(state / "log/part.log")) == {"here we go again"}


async def test_a_command_that_is_not_there_is_tried_again(begin: Callable[..., Part], state: Path) -> None:
    program = state / "program"
    part = begin(_spec(str(program)))
    assert part.process is None
    program.symlink_to("/bin/cat")
    program.unlink()
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    await _until(lambda: part.process)


async def test_each_start_is_prepared_and_finds_no_stale_socket(begin: Callable[..., Part], state: Path) -> None:
    path = Path("stale.sock")
    seen: list[bool] = []

    def prepare() -> None:
        _leave_socket(path)
        seen.append(True)

    spec = PartSpec("part", FOREVER, os.environ, _always_ready, "digest", True, sockets=(path,), before_start=prepare)
    part = begin(spec)
    assert part.process
    os.kill(part.process.pid, signal.SIGKILL)
    await _until(lambda: part.restarts == 1)
    assert len(seen) == 2
    assert not _is_there(path)


async def test_stop_ends_a_part_that_ignores_sigterm(begin: Callable[..., Part], state: Path) -> None:
    part = begin(_spec("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    output = state / "log/part.log"
    await _until(lambda: "ready" in output.read_text())
    assert part.process
    pid = part.process.pid
    await part.stop(grace_s=0.2)
    assert start_ticks_of(pid) is None
    await asyncio.sleep(0.05)
    assert part.process is None


async def test_a_retired_part_is_not_started_again(begin: Callable[..., Part]) -> None:
    part = begin(_spec(*FOREVER))
    part.retire()
    assert part.process
    os.kill(part.process.pid, signal.SIGKILL)
    await _until(lambda: part.process is None)
    await asyncio.sleep(0.05)
    assert part.restarts == 0


async def test_part_has_its_own_session_and_no_descriptor_of_ours(begin: Callable[..., Part], state: Path) -> None:
    with (state / "lock").open("w"):
        part = begin(_spec(*FOREVER))
        assert part.process
        pid = part.process.pid
        assert os.getsid(pid) == pid
        # Polled: `sleep` opens and closes a few files of its own as it starts.
        await _until(lambda: _descriptors(pid) == {"/dev/null", str(state / "log/part.log")})


def test_a_lifeline_ends_a_part_whose_supervisor_was_killed(state: Path) -> None:
    script = (
        "import asyncio, os\n"
        "from pathlib import Path\n"
        "from headgate.supervise.process import Process\n"
        "async def main():\n"
        "    part = Process.spawn(['cat'], os.environ, Path('log/part.log'), lifeline=True)\n"
        "    stays = Process.spawn(['sleep', '600'], os.environ, Path('log/stays.log'), lifeline=False)\n"
        "    print(part.pid, stays.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout
        part, stays = map(int, supervisor.stdout.readline().split())
        supervisor.kill()
    try:
        asyncio.run(_until(lambda: start_ticks_of(part) is None))
        assert start_ticks_of(stays)
    finally:
        os.kill(stays, signal.SIGKILL)


async def test_a_process_is_taken_over_only_with_pid_and_start_time(begin: Callable[..., Part]) -> None:
    orphan = _orphan()
    ticks = start_ticks_of(orphan)
    assert ticks
    assert Process.find(Identity(orphan, ticks + 1)) is None
    assert Process.find(Identity(2**22 - 1, ticks)) is None
    found = Process.find(Identity(orphan, ticks))
    assert found
    part = begin(_spec(*FOREVER), found)
    assert part.process is found
    os.kill(orphan, signal.SIGKILL)
    await _until(lambda: part.restarts == 1)
    assert part.process
    assert part.process.pid != orphan


async def test_a_process_taken_over_is_ended_with_its_part(begin: Callable[..., Part]) -> None:
    orphan = _orphan()
    part = begin(_spec(*FOREVER), Process.find(Identity(orphan, start_ticks_of(orphan) or 0)))
    await part.stop()
    assert start_ticks_of(orphan) is None


async def test_a_part_says_how_it_ended_how_often_and_when_it_is_tried_again(begin: Callable[..., Part]) -> None:
    part = begin(_spec("sh", "-c", "exit 3"))
    await _until(lambda: part.restarts >= 2 and part.again_in_s)
    assert part.last_end
    assert part.last_end.how == "exit 3"
    assert part.ends == {"exit 3": part.restarts + 1}
    said = part.trouble("refuses connections")
    assert said
    assert re.fullmatch(r"exit 3 after 0\.\d s, again in \d\.\d s; see log/part\.log", said)
    part.hand_over(_spec(*FOREVER).spawn())  # as a restart of the gateway's does meanwhile
    assert part.again_in_s is None


async def test_uptimes_are_those_of_processes_and_restarts_go_on_where_another_supervisor_was(
    begin: Callable[..., Part],
) -> None:
    orphan = _orphan()
    await asyncio.sleep(0.2)  # it is that old, at least
    part = begin(_spec(*FOREVER), Process.find(Identity(orphan, start_ticks_of(orphan) or 0)), 4)
    assert part.uptime_s is not None
    assert part.uptime_s >= 0.19  # in clock ticks of 10 ms
    os.kill(orphan, signal.SIGKILL)
    await _until(lambda: part.restarts == 5)
    assert part.last_end
    assert part.last_end.how == "ended unseen"
    assert part.uptime_s < 0.19


def _leave_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))


async def test_a_part_that_does_not_get_ready_is_named_with_the_end_of_its_log(begin: Callable[..., Part]) -> None:
    async def never() -> str | None:
        return "refuses connections"

    spec = PartSpec("part", ("sh", "-c", "echo no such model; exit 1"), os.environ, never, "digest", outlives=True)
    part = begin(spec)
    with pytest.raises(Refusal) as refusal:
        await until_ready([part], 0.3)
    first, *last = refusal.value.lines
    assert first.startswith("part is not ready after 0.3 s (refuses connections, ")
    assert set(last) == {"no such model"}


def _is_there(path: Path) -> bool:
    return path.exists()


def _descriptors(pid: int) -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return set()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _orphan() -> int:
    """A process that is not our child, as after the death of a supervisor."""
    script = "sleep 600 </dev/null >/dev/null 2>&1 & echo $!"
    return int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)
