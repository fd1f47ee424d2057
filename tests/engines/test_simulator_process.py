"""The process: its start, its stop, its use inside another program, and its documentation."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from raw_http import ASK, TIMEOUT_S, read_reply, read_until, send_request, started

from engines.simulator.faults import Simulate
from engines.simulator.serve import Options, serve

ROOT = Path(__file__).parents[2]


async def in_process(options: Options) -> tuple[asyncio.Task[None], int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve("127.0.0.1", 0, options, port.set_result))
    return task, await asyncio.wait_for(port, TIMEOUT_S)


async def test_it_serves_inside_another_program_until_cancelled() -> None:
    task, port = await in_process(Options(model="other", ttft_s=0, token_s=0))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n")
    assert b'"id":"other"' in await reader.read()
    writer.close()
    await writer.wait_closed()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with socket.socket() as peer, pytest.raises(ConnectionRefusedError):
        peer.connect(("127.0.0.1", port))


def test_sigterm_lets_a_running_answer_end(tmp_path: Path) -> None:
    with started(tmp_path / "record.jsonl", "--token", "0.1", "--model", "mine") as engine:
        with engine.connect() as peer, engine.connect() as idle:
            send_request(peer, "/v1/chat/completions", {**ASK, "stream": True, "simulate": {"tokens": 8}})
            head = read_until(peer, b'"This"')
            engine.process.send_signal(signal.SIGTERM)
            rest = peer.recv(1 << 20)
            while part := peer.recv(1 << 20):
                rest += part
            assert b'"model":"mine"' in head
            assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert idle.recv(1) == b""
        assert engine.process.wait(TIMEOUT_S) == 0


def test_sigterm_does_not_wait_for_ever(tmp_path: Path) -> None:
    with started(tmp_path / "record.jsonl", "--ttft", "0") as engine:
        with engine.connect() as peer:
            body = {**ASK, "stream": True, "simulate": {"silence": 1}}
            send_request(peer, "/v1/chat/completions", body, x_request_id="stuck")
            read_until(peer, b'"This"')
            stopped = time.monotonic()
            engine.process.send_signal(signal.SIGTERM)
            assert engine.process.wait(TIMEOUT_S) == 0
            assert time.monotonic() - stopped > 4
        assert engine.lines("chatcmpl-stuck", until="end")[-1]["completed"] is False


def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    with started(tmp_path / "record.jsonl") as engine:
        command = [sys.executable, "-m", "engines.simulator", "--port", str(engine.port)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert second.returncode != 0
    assert "address already in use" in second.stderr


def test_a_kept_connection_answers_again(tmp_path: Path) -> None:
    with started(tmp_path / "record.jsonl", "--ttft", "0", "--token", "0") as engine, engine.connect() as peer:
        for _ in range(3):
            send_request(peer, "/v1/chat/completions", {**ASK, "stream": True}, connection="keep-alive")
            read_until(peer, b"\r\n0\r\n\r\n")
        send_request(peer, "/v1/chat/completions", ASK)
        assert read_reply(peer).status == 200


def test_every_wish_is_documented() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text()
    table = page.split("## `simulate`")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(field.name for field in msgspec.structs.fields(Simulate))


def test_every_option_is_documented() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text()
    for name in Options.__dataclass_fields__:
        assert f"| `{name}` |" in page.split("## Options")[1].split("\n## ")[0]
