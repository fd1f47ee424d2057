"""A `headgate up` as a child process of a test, and what a test may do to it.

Ends only processes that this gateway recorded as its own.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from headgate.supervise.process import start_ticks_of

HEADGATE = str(Path(sys.executable).with_name("headgate"))
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class GatewayProcess:
    """One state directory; `start` may be called again after the supervisor has ended."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.http, self.admin = free_address(), free_address()
        self.lines: dict[str, str] = {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(
        self, *options: str, env: Mapping[str, str] | None = None, program: str = HEADGATE, quick: bool = True
    ) -> None:
        """Start a supervisor; returns when it has said that it is ready."""
        await self.spawn(*options, env=env, program=program, quick=quick)
        assert self.process
        assert self.process.stdout
        async with asyncio.timeout(60):
            while "logs" not in self.lines:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended:\n{self.log()}"
                self.lines[line[:11].strip()] = line[11:].strip()

    async def spawn(
        self, *options: str, env: Mapping[str, str] | None = None, program: str = HEADGATE, quick: bool = True
    ) -> None:
        addresses = ["--http", self.http, "--admin", self.admin] if quick else []
        self.lines = {}
        with self._log().open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(program, "up", "--state", str(self.state), "--workers", "2", *addresses, *options),
                env={**os.environ, **(env or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )

    async def wait(self, within_s: float = 60) -> int:
        assert self.process
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    def send(self, signum: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(signum)

    def log(self) -> str:
        return self._log().read_text()

    def pids(self, prefix: str = "") -> dict[str, int]:
        """Without control and the usage store's part, which come when they will: nobody waits for them."""
        return {name: record["pid"] for name, record in self.records().items() if _is(name, prefix)}

    def records(self) -> dict[str, dict[str, Any]]:
        """What parts.json says, by the part's name."""
        parts: dict[str, dict[str, Any]] = json.loads((self.state / "parts.json").read_bytes())["parts"]
        return parts

    def alive(self, pid: int) -> bool:
        return start_ticks_of(pid) is not None

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.lines['key']}"}

    async def answer(self) -> int | None:
        """The status of one small request; None when nobody takes the connection."""
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as session, session.post(self.url(), **self._request(3)) as reply:
                await reply.read()
                return reply.status
        return None

    async def stream(self, tokens: int, started: asyncio.Event) -> list[str]:
        """A stream of `tokens` tokens, about 20 ms each; its events, in order."""
        events: list[str] = []
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url(), **self._request(tokens, stream=True)) as reply,
        ):
            assert reply.status == 200, await reply.text()
            async for line in reply.content:
                if line.startswith(b"data: "):
                    events.append(line[6:].decode().strip())
                    started.set()
        return events

    @contextlib.asynccontextmanager
    async def restarting(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A `headgate restart` that runs, and that tells its steps."""
        command = (HEADGATE, "restart", "--state", str(self.state), "--json", *options)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def restart(self, *options: str) -> tuple[int, list[dict[str, Any]], str]:
        """One restart: its exit status, its steps, what it wrote on stderr."""
        async with self.restarting(*options) as process:
            output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, [json.loads(line) for line in output.splitlines()], errors.decode()

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.admin}/readyz") as reply:
            return reply.status, await reply.json()

    async def metrics(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.admin}/metrics") as reply:
            return await reply.text()

    def url(self) -> str:
        return f"http://{self.http}/v1/chat/completions"

    def _request(self, tokens: int, *, stream: bool = False) -> dict[str, Any]:
        body = CHAT | {"stream": stream, "simulate": {"tokens": tokens, "token_s": 0.02, "ttft_s": 0.02}}
        return {"json": body, "headers": self.headers()}

    def _log(self) -> Path:
        return self.state.with_name(f"{self.state.name}.stderr")

    async def clean_up(self) -> None:
        """End what is left, the supervisor first; only what is recorded as ours."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            records = json.loads((self.state / "parts.json").read_bytes())["parts"]
            for record in records.values():
                if start_ticks_of(record["pid"]) == record["start_ticks"]:
                    with contextlib.suppress(
                        ProcessLookupError
                    ):  # nearly all lead a group: engines have processes below
                        is_leader = os.getpgid(record["pid"]) == record["pid"]
                        (os.killpg if is_leader else os.kill)(record["pid"], signal.SIGKILL)
        remove_memory_folders(self.state)


_WAITED_FOR_BY_NOBODY = ("control", "usage")


def _is(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and (name not in _WAITED_FOR_BY_NOBODY or prefix == name)


def remove_memory_folders(state: Path) -> None:
    """What a killed supervisor leaves outside of its state directory."""
    for link in (state / "secrets", state / "run" / "metrics"):
        if link.is_symlink() and link.is_dir():
            for file in link.iterdir():
                file.unlink()
            link.readlink().rmdir()


async def until(condition: Callable[[], object], within_s: float) -> float:
    """Wait until `condition` holds; how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(min(0.01 + (time.monotonic() - began) / 10, 0.2))
    return time.monotonic() - began
