"""Who asks the usage store's part and leaves: nothing is asked of the store for them any more."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate.contract import USAGE_SOCKET
from headgate.usage_questions import Sums
from ledger.store import service
from ledger.store.questions import AT_ONCE, Questions


class Slow:
    """A store that answers nothing before it is let go; it notes what it was asked."""

    exists = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    @contextlib.contextmanager
    def client(self) -> Iterator["Slow"]:
        yield self

    def query(self, _: str, parameters: dict[str, Any], **__: Any) -> Any:
        self.asked.append(next(value for value in parameters.values() if isinstance(value, str)))
        self.let_go.wait(60)
        return self

    result_rows = ()


async def test_a_question_whose_asker_has_left_is_not_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    USAGE_SOCKET.parent.mkdir()
    store: Any = Slow()
    questions = Questions(store)
    server = await service._listen(store, questions)
    streams = []
    for tenant in ("first", "second", "leaves", "stays"):
        reader, writer = await asyncio.open_unix_connection(str(USAGE_SOCKET))
        question = Sums(tenant=tenant, since_s=0, until_s=60)
        writer.write(msgspec.json.encode(question) + b"\n")
        streams.append((reader, writer))
        waits = len(streams)
        await _until(lambda waits=waits: questions._waiting == waits)
    assert len(store.asked) == AT_ONCE
    streams[2][1].close()
    await _until(lambda: questions._waiting == 3)
    store.let_go.set()
    for at in (0, 1, 3):
        assert b'"rows":[]' in await streams[at][0].readline()
    assert sorted(store.asked) == ["first", "second", "stays"]
    for _, writer in streams:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    server.close()
    questions.close()
    await _until(lambda: len(asyncio.all_tasks()) == 1)  # the part has closed its side, too


async def _until(done: Any) -> None:
    for _ in range(6_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError
