"""/healthz and /readyz over real sockets, in front of a real part."""

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from headgate.config.addresses import Address
from headgate.grpc_server import Server
from headgate.supervise import Refusal, admin, probes
from headgate.supervise.admin import Outside, View
from headgate.supervise.part import Part, PartSpec
from headgate.supervise.ports import Listen, free_port

SOCKET = Path("part.sock")
CONFIG = {"generation": 3, "loaded": "2027-01-31T12:00:00Z", "age_s": 1.0, "error": None}


@pytest.fixture
async def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Part]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    probe = probes.worker_answers(SOCKET)
    part = Part(PartSpec("filters-0", ("sleep", "600"), os.environ, probe, "digest", True), lambda: None)
    part.begin()
    yield part
    await part.stop()


async def _readyz(port: int) -> tuple[int, dict[str, object]]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        return answer.status, await answer.json()


async def test_readyz_names_the_part_that_is_not_ready(part: Part) -> None:
    stage: list[str | None] = ["starting"]
    listen = Listen("listen.admin", Address("127.0.0.1", free_port()))
    runner = await admin.serve(listen, lambda: View(CONFIG, [part], [], stage[0]))
    try:
        status, body = await _readyz(listen.address.port)
        assert status == 503
        assert part.process
        assert body == {
            "ready": False,
            "generation": 3,
            "config": CONFIG,
            "degraded": [],
            "detail": "starting",
            "parts": {
                "filters-0": {
                    "ready": False,
                    "detail": "no socket yet",
                    "pid": part.process.pid,
                    "restarts": 0,
                    "uptime_s": pytest.approx(0, abs=5),
                    "last_end": None,
                    "again_in_s": None,
                }
            },
        }
        stage[0] = None
        with socket.socket(socket.AF_UNIX) as stopped:  # connects, and never says a word
            stopped.bind(str(SOCKET))
            stopped.listen()
            status, body = await _readyz(listen.address.port)
            assert (status, body["ready"]) == (503, False)
        os.unlink(SOCKET)  # noqa: PTH108 - pathlib would count as blocking
        server = Server([])
        await server.listen(f"unix:{SOCKET}")
        status, body = await _readyz(listen.address.port)
        assert (status, body["ready"]) == (200, True)
        await server.close(1)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{listen.address.port}/healthz") as answer,
        ):
            assert answer.status == 200
    finally:
        await runner.cleanup()


async def test_an_admin_address_that_is_taken_is_refused() -> None:
    listen = Listen("listen.admin", Address("127.0.0.1", free_port()))
    runner = await admin.serve(listen, lambda: View(CONFIG, [], [], None))
    with pytest.raises(Refusal, match=r"listen\.admin: .* is taken by another process"):
        await admin.serve(listen, lambda: View(CONFIG, [], [], None))
    await runner.cleanup()


async def test_a_service_that_is_down_is_reported_without_its_address() -> None:
    url = f"redis://user:hunter2@127.0.0.1:{free_port()}/0"
    body = await admin.report(View(CONFIG, [], [Outside("counters", probes.counters_ping(url))], None))
    assert body["ready"] is False
    assert "hunter2" not in str(body)
    assert "127.0.0.1" not in str(body)


async def test_a_service_that_says_nothing_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert await probes.http_ok(f"http://127.0.0.1:{port}/health")() == "no answer within 1 s"


async def test_what_is_not_essential_is_named_and_keeps_nobody_waiting() -> None:
    async def away() -> str | None:
        return "away since yesterday"

    spec = PartSpec("control", ("sleep", "60"), {}, away, "digest", outlives=False, essential=False)
    service = Outside("database", away, essential=False)
    view = View(CONFIG, [Part(spec, lambda: None)], [service], None)
    body = await admin.report(view)
    assert (body["ready"], body["degraded"]) == (True, ["control", "database"])
    body = await admin.report(View(CONFIG, [], [service, Outside("counters", away)], None))
    assert (body["ready"], body["degraded"]) == (False, ["database"])
