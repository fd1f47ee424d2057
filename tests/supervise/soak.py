"""Load on a gateway that is being edited: short requests at a rate, and streams that are always there.

Everything that was entitled to succeed and did not is a line in `failures`.
"""

import asyncio
import collections
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=120, sock_read=60)


@dataclass(frozen=True)
class Caller:
    """A key and a model that it may use."""

    key: str
    model: str


@dataclass
class Load:
    """`callers` may be changed at any time; a request looks at it once, when it begins."""

    url: str
    callers: list[Caller]
    rate: float
    streams: int
    stream_s: float
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    _ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until `end`; then what runs is let finish."""
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self.streams):
                group.create_task(self._streaming(session))
            due = time.monotonic()
            while not self._ending.is_set():
                group.create_task(self._short(session, random.choice(self.callers)))  # noqa: S311
                due = max(due + 1 / self.rate, time.monotonic() - 1)  # what a starved machine missed stays missed
                await asyncio.sleep(max(due - time.monotonic(), 0))

    def end(self) -> None:
        self._ending.set()

    async def _short(self, session: aiohttp.ClientSession, caller: Caller) -> None:
        began = time.monotonic()
        body = self._body(caller, {"tokens": 3, "token_s": 0.001, "ttft_s": 0.005})
        try:
            async with session.post(self.url, json=body, headers=_headers(caller)) as reply:
                text = await reply.text()
                if reply.status != 200:
                    self._fail("short", caller, f"{reply.status} {text[:200]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._fail("short", caller, repr(error))
        self.done["short"] += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    async def _streaming(self, session: aiohttp.ClientSession) -> None:
        while not self._ending.is_set():
            caller = random.choice(self.callers)  # noqa: S311
            tokens = max(int(self.stream_s * random.uniform(0.5, 1) / 0.25), 2)  # noqa: S311
            body = self._body(caller, {"tokens": tokens, "token_s": 0.25, "ttft_s": 0.1}) | {"stream": True}
            try:
                async with session.post(self.url, json=body, headers=_headers(caller)) as reply:
                    events = [line[6:] async for line in reply.content if line.startswith(b"data: ")]
                whole = reply.status == 200 and bool(events) and events[-1].strip() == b"[DONE]"
                if not whole or _tokens(events[:-1]) != tokens:
                    self._fail("stream", caller, f"{reply.status}, {len(events)} events of {tokens} tokens")
            except (aiohttp.ClientError, TimeoutError) as error:
                self._fail("stream", caller, repr(error))
            self.done["stream"] += 1

    def _fail(self, what: str, caller: Caller, how: str) -> None:
        self.failures.append(f"{time.strftime('%H:%M:%S')} {what} {caller.model}: {how}")

    @staticmethod
    def _body(caller: Caller, simulate: dict[str, float]) -> dict[str, object]:
        messages = [{"role": "user", "content": "Hello"}]
        return {"model": caller.model, "messages": messages, "simulate": simulate}


def _headers(caller: Caller) -> dict[str, str]:
    return {"authorization": f"Bearer {caller.key}"}


def _tokens(events: list[bytes]) -> int:
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return sum(bool(choice["delta"].get("content")) for choice in choices)


def resident_mib(pid: int) -> float:
    """Memory that the process holds, less what it shares with files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "Rss" in name}
    return (kib["RssAnon"] + kib.get("RssShmem", 0)) / 1024
