"""Files that the real Valkey does not load are set aside; what is no damage is left where it is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from headgate.supervise import counters_data, parts
from headgate.supervise.counters_data import damage_in, damaged, set_aside
from headgate.supervise.part import Part

VALKEY = Path("valkey")
AOF = VALKEY / "appendonlydir"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("log", "run", "valkey"):
        (tmp_path / name).mkdir()


@pytest.fixture
async def start() -> AsyncIterator[Callable[[], Part]]:
    started: list[Part] = []

    def start() -> Part:
        started.append(Part(parts.valkey(os.environ), lambda: None))
        started[-1].begin()
        return started[-1]

    yield start
    for part in started:
        await part.stop()


async def ready(part: Part) -> None:
    async with asyncio.timeout(30):
        while await part.spec.probe():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def client() -> Redis:
    return Redis(unix_socket_path="run/counters.sock", decode_responses=True)


async def filled(start: Callable[[], Part]) -> None:
    """A server has been there, has rewritten its file once, and has ended."""
    part = start()
    await ready(part)
    async with client() as counters:
        for number in range(500):
            await counters.set(f"old{number}", "x" * 50)
        await counters.bgrewriteaof()  # type: ignore[no-untyped-call]
        async with asyncio.timeout(30):
            while (await counters.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        for number in range(500):
            await counters.set(f"new{number}", "x" * 50)
    await part.stop()


def one(pattern: str) -> Path:
    (found,) = AOF.glob(pattern)
    return found


def size(path: Path) -> int:
    return path.stat().st_size


def is_ours_alone(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0


def scramble(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[], object]] = {
    "middle": lambda: scramble(one("*.incr.aof"), 5000, b"\xff\x00garbage" * 100),
    "end": lambda: scramble(one("*.incr.aof"), 10**6, b"\xff\x00garbage" * 50),
    "command": lambda: scramble(one("*.incr.aof"), 10**6, b"*1\r\n$4\r\nWHAT\r\n" * 2),
    "empty manifest": lambda: one("*.manifest").write_bytes(b""),
    "wrong manifest": lambda: one("*.manifest").write_bytes(b"file\xff what\n"),
    "base": lambda: scramble(one("*.base.rdb"), 500, b"\xff\x00garbage" * 20),
    "base cut": lambda: os.truncate(one("*.base.rdb"), 300),
    "base gone": lambda: one("*.base.rdb").unlink(),
    "increment gone": lambda: one("*.incr.aof").unlink(),
}


@pytest.mark.parametrize("how", DAMAGES)
async def test_what_is_damaged_is_set_aside(start: Callable[[], Part], how: str) -> None:
    await filled(start)
    DAMAGES[how]()
    before = {path.name: path.read_bytes() for path in AOF.iterdir()}
    part = start()
    await ready(part)
    (aside,) = damaged()
    assert {path.name: path.read_bytes() for path in (aside / AOF.name).iterdir()} == before
    async with client() as counters:
        assert await counters.dbsize() == 0
    assert part.restarts == 1
    assert is_ours_alone(VALKEY)


async def test_a_running_server_that_dies_over_its_file_comes_back_empty(start: Callable[[], Part]) -> None:
    part = start()
    await ready(part)
    async with client() as counters:
        await counters.set("there", 1)
        async with asyncio.timeout(30):
            while not size(one("*.incr.aof")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
    scramble(one("*.incr.aof"), 10**6, b"\xff\x00garbage")
    assert part.process
    os.kill(part.process.pid, 9)
    async with asyncio.timeout(30):
        while not damaged():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    await ready(part)
    async with client() as counters:
        assert await counters.dbsize() == 0


async def test_a_file_that_is_cut_off_is_loaded(start: Callable[[], Part]) -> None:
    await filled(start)
    path = one("*.incr.aof")
    os.truncate(path, size(path) - 20)
    await ready(start())
    assert not damaged()
    async with client() as counters:
        assert await counters.dbsize() == 999


def _unreadable() -> None:
    path = one("*.incr.aof")
    path.unlink()
    path.mkdir()


def _no_folder() -> None:
    for path in AOF.iterdir():
        path.unlink()
    AOF.rmdir()
    AOF.write_text("not ours")


@pytest.mark.parametrize("how", [_unreadable, _no_folder])
async def test_what_cannot_be_read_is_left_alone(start: Callable[[], Part], how: Callable[[], None]) -> None:
    """A permission, a disk: an operator mends it, and then all is there."""
    await filled(start)
    how()
    part = start()
    async with asyncio.timeout(30):
        while part.restarts < 4:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    assert not damaged()
    assert await part.spec.probe() is not None


@pytest.mark.parametrize(
    "text",
    [
        "# Unrecoverable error reading the append only file appendonly.aof.1.incr.aof: Input/output error",
        "# Fatal error: can't open the append log file appendonly.aof.1.incr.aof for reading: Permission denied",
        "# Unable to obtain the AOF file appendonly.aof.1.incr.aof length. stat: Permission denied",
        "# Can't open the append-only file appendonly.aof.1.incr.aof: No space left on device",
        "# MISCONF Errors writing to the AOF file: No space left on device",
        "* Ready to accept connections unix\n# Bad file format reading the append only file",
    ],
)
def test_no_damage(text: str) -> None:
    assert damage_in(text) is None


def test_two_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        VALKEY.mkdir(exist_ok=True)
        (VALKEY / str(number)).touch()
        set_aside(VALKEY)
    assert [path.name for folder in damaged() for path in folder.iterdir()] == ["3", "4"]
    assert counters_data.MOST_KEPT == 2
    assert not VALKEY.exists()
