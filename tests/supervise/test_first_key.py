"""The first admin key's way from control to the supervisor's own output."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headgate.supervise import first_key
from headgate.supervise.control_socket import Unreadable, control_standing
from headgate.supervise.first_key import until_shown
from headgate.supervise.probes import control_answers, database_up


@contextlib.asynccontextmanager
async def answering(socket: Path, *answers: bytes) -> AsyncIterator[list[bytes]]:
    """A server that has one answer for each connection, the last one again and again."""
    asked: list[bytes] = []
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        writer.close()

    server = await asyncio.start_unix_server(answer, str(socket))
    async with server:
        yield asked


def http(status: int, body: object = None) -> bytes:
    return f"HTTP/1.1 {status} Well\r\n\r\n".encode() + (b"" if body is None else json.dumps(body).encode())


async def test_it_asks_until_there_is_an_answer_and_tells_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_key, "AGAIN_S", 0.01)
    told: list[str] = []
    asking = asyncio.create_task(until_shown(tmp_path / "s", told.append))
    await asyncio.sleep(0.05)  # nobody is there yet
    answers = http(503), b"", b"nonsense", http(201, {"no": "key"}), http(201, {"key": "hg-x"})
    async with answering(tmp_path / "s", *answers) as asked:
        await asyncio.wait_for(asking, 30)
    assert {request.split(b"\r\n")[0] for request in asked} == {b"POST /first-key HTTP/1.1"}
    (line,) = told
    assert line.startswith("admin key  hg-x ")


async def test_where_there_is_one_nothing_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    async with answering(tmp_path / "s", http(204)) as asked:
        await asyncio.wait_for(until_shown(tmp_path / "s", told.append), 30)
    assert (told, len(asked)) == ([], 1)


@pytest.mark.parametrize(
    ("standing", "detail"),
    [
        ({"state": "up", "since": 0.0}, None),
        ({"state": "opening", "since": 0.0}, "opening"),
        ({"state": "away", "since": 0.0, "detail": "not there"}, "away since 1970-01-01T00:00:00Z: not there"),
        ({"state": "behind", "since": 60.0, "detail": "disk"}, "behind since 1970-01-01T00:01:00Z: disk"),
        ({"state": "odd"}, "not known: control does not answer"),
    ],
)
async def test_what_is_said_of_the_database(tmp_path: Path, standing: object, detail: str | None) -> None:
    async with answering(tmp_path / "s", http(200, standing)):
        assert await database_up(tmp_path / "s")() == detail
        assert (await control_answers(tmp_path / "s")() is None) == (detail is None or "not known" not in detail)


async def test_nobody_there(tmp_path: Path) -> None:
    assert await control_answers(tmp_path / "s")() == "no socket yet"
    assert await database_up(tmp_path / "s")() == "not known: control does not answer"
    async with answering(tmp_path / "s", http(500)):
        with pytest.raises(Unreadable):
            await control_standing(tmp_path / "s")
