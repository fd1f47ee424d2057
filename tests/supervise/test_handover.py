"""One process takes the place of another: what a part makes of it, and where a process's parent is not us."""

import asyncio
import inspect
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from headgate.supervise import hot_restart
from headgate.supervise.envoy_life import EnvoyLife
from headgate.supervise.part import Part, PartSpec
from headgate.supervise.process import Process
from headgate.wire.hot_restart_pb2 import HotRestartMessage, Reply, Request

FOREVER = ("sleep", "600")


async def _ready() -> str | None:
    return None


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
async def part() -> AsyncIterator[Part]:
    part = Part(PartSpec("part", FOREVER, os.environ, _ready, "digest", outlives=True), lambda: None)
    part.begin()
    yield part
    await part.stop()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.005)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


async def test_a_part_goes_on_with_the_successor(part: Part) -> None:
    successor = part.spec.spawn()
    before = part.hand_over(successor)
    assert before
    await before.end(5)
    await asyncio.sleep(0.1)
    assert part.process is successor
    assert part.restarts == 0
    os.kill(successor.pid, signal.SIGKILL)
    await _until(lambda: part.process not in (None, successor))
    assert part.restarts == 1


async def test_a_successor_that_ends_at_once_is_restarted_while_the_old_one_still_ends(part: Part) -> None:
    successor = Process.spawn(("true",), os.environ, Path("log/part.log"), lifeline=False)
    await successor.wait()
    before = part.hand_over(successor)
    assert before
    await _until(lambda: part.process not in (None, successor))
    assert before.running
    await before.end(5)


async def test_a_restart_that_is_wanted_is_no_crash(part: Part) -> None:
    before = part.process
    assert before
    part.renewing = True
    await before.end(5)
    await _until(lambda: part.process not in (None, before))
    assert part.restarts == 0


async def test_a_process_apart_waits_and_is_nobodys_child() -> None:
    log = Path("log/apart.log")
    script = "echo $HELLO; read -r line || echo no input; exec sleep 600"
    process, go = Process.spawn_apart(("sh", "-c", script), {**os.environ, "HELLO": "good day"}, log)
    await asyncio.sleep(0.2)
    assert _lines(log) == []
    go()
    await _until(lambda: "no input" in log.read_text())
    assert _lines(log) == ["good day", "no input"]
    assert f"PPid:\t{os.getpid()}" not in _lines(Path(f"/proc/{process.pid}/status"))
    assert Process.find(process.identity)
    await process.end(5)
    assert not Process.find(process.identity)


async def test_a_process_apart_keeps_a_socket_open_as_long_as_it_lives() -> None:
    path = Path("run/kept")
    with hot_restart.bind(path) as kept:
        process, go = Process.spawn_apart(FOREVER, os.environ, Path("log/apart.log"), kept)
    go()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"nobody reads this", str(path))
        await process.end(5)
        with pytest.raises(ConnectionRefusedError):
            end.sendto(b"nobody is there", str(path))


async def test_a_process_apart_never_runs_when_nobody_lets_it(state: Path) -> None:
    process, go = Process.spawn_apart(("touch", "made"), os.environ, Path("log/apart.log"))
    inspect.getclosurevars(go).nonlocals["gate"].close()  # as the death of this process would
    async with asyncio.timeout(60):
        await process.wait()
    assert "made" not in os.listdir(state)  # noqa: PTH208


@pytest.mark.parametrize("takes_over", [False, True])
def test_a_life_is_found_again_by_its_record(takes_over: bool) -> None:
    life = EnvoyLife.new("digest", ("127.0.0.1:1",), takes_over=takes_over)
    options = dict(zip(life.arguments()[::2], life.arguments()[1::2], strict=False))
    prefix, base, epoch = options["--socket-path"], int(options["--base-id"]), int(options["--restart-epoch"])
    assert epoch == takes_over
    assert str(life.hot) == f"{prefix}_parent_{base * 10 + epoch}"
    assert str(hot_restart.child_of(life.hot)) == f"{prefix}_child_{base * 10 + epoch + 1}"
    if takes_over:
        assert str(life.asks) == f"{prefix}_parent_{base * 10}"
    assert base * 10 < 2**31
    assert len(os.fsencode(life.hot)) < 100


async def test_only_sockets_pass_between_two_envoys() -> None:
    """Both ends as Envoy speaks; the message lengths and kinds are those that Envoy 1.40 was seen to send."""
    old, new = Path("run/old_parent_10"), Path("run/new_child_21")
    ours = Path("run/new_parent_20")
    to_new = hot_restart.bind(ours)
    between = hot_restart.Between(to_new, old)
    old_end, new_end = hot_restart.bind(old), hot_restart.bind(new)
    serving = asyncio.create_task(between.serve())
    try:
        shutdown = HotRestartMessage(request=Request(shutdown_admin=Request.Nothing()))
        hot_restart._send(new_end, shutdown, str(ours))
        answer, _, _ = await hot_restart._receive(new_end)
        assert answer.reply.shutdown_admin.original_start_time_unix_seconds > 0

        wanted = Request.PassListenSocket(address="tcp://127.0.0.1:1", worker_index=1)
        hot_restart._send(new_end, HotRestartMessage(request=Request(pass_listen_socket=wanted)), str(ours))
        asked, sender, _ = await hot_restart._receive(old_end)
        assert asked.request.pass_listen_socket == wanted
        with socket.create_server(("127.0.0.1", 0)) as listening:
            passed = Reply(pass_listen_socket=Reply.PassListenSocket(fd=listening.fileno()))
            hot_restart._send(old_end, HotRestartMessage(reply=passed), sender, [listening.fileno()])
            _, _, (descriptor,) = await hot_restart._receive(new_end)
            with socket.socket(fileno=descriptor) as same:
                assert same.getsockname() == listening.getsockname()

        udp = Request.PassListenSocket(address="udp://127.0.0.1:1")
        hot_restart._send(new_end, HotRestartMessage(request=Request(pass_listen_socket=udp)), str(ours))
        refused, _, none = await hot_restart._receive(new_end)
        assert (refused.reply.pass_listen_socket.fd, none) == (-1, [])

        drain = HotRestartMessage(request=Request(drain_listeners=Request.Nothing()))
        hot_restart._send(new_end, drain, str(ours))
        async with asyncio.timeout(60):
            await serving
        with pytest.raises(BlockingIOError):
            old_end.recv(1)
        assert between.passed == ["tcp://127.0.0.1:1"]
    finally:
        serving.cancel()
        between.close()
        to_new.close()
        old_end.close()
        new_end.close()
    assert set(os.listdir("run")) == {old.name, new.name, ours.name}  # noqa: PTH208
