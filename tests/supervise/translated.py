"""A gateway with providers of the other API behind it: every stream it answers is translated by a worker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from edits import Edited, edited, engine

ASK = [{"role": "user", "content": "Why is water wet?"}]


class Answer:
    """A stream that is being read: how it ends is its outcome."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.pieces = 0
        self.request_id = ""
        self.outcome: asyncio.Task[str]

    @property
    def running(self) -> bool:
        return not self.outcome.done()


class Translated:
    """`chat` is a model for OpenAI's clients on a provider of Anthropic's kind, `messages` the other way round.

    A stream has 32 tokens, `token_s` apart.
    """

    def __init__(self, edits: Edited) -> None:
        self.edits, self.gateway = edits, edits.gateway

    async def short(self) -> int:
        """The status of a small request of OpenAI's kind."""
        return (await self.edits.ask(max_tokens=2))[0]

    async def begin(self, model: str = "chat") -> Answer:
        """A stream of which something has come."""
        answer = Answer()
        answer.outcome = asyncio.create_task(self._read(model, answer))
        begun = asyncio.create_task(answer.begun.wait())
        await asyncio.wait({begun, answer.outcome}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert begun.done(), answer.outcome
        return answer

    async def _read(self, model: str, answer: Answer) -> str:
        path = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}[model]
        body = {"model": model, "messages": ASK, "stream": True, "max_tokens": 32}
        last: Any = None
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session,
                session.post(f"http://{self.gateway.http}{path}", json=body, headers=self._headers()) as reply,
            ):
                answer.request_id = reply.headers["x-request-id"]
                async for line in reply.content:
                    if line.startswith(b"data:") and (data := line[5:].strip()):
                        last = "[DONE]" if data == b"[DONE]" else json.loads(data)
                        answer.pieces += 1
                        answer.begun.set()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"cut: {type(error).__name__}"
        whole = last == "[DONE]" or (isinstance(last, dict) and last.get("type") == "message_stop")
        return "whole" if whole else f"ended after {answer.pieces}: {last}"

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.edits.key}", "anthropic-version": "2023-06-01"}


@asynccontextmanager
async def translated(folder: Path, token_s: float) -> AsyncIterator[Translated]:
    """Nothing is started yet but the engines."""
    async with edited(folder) as edits, engine(folder, "slow", f"{round(token_s * 1000)}ms") as slow:
        url, document = f"http://{slow.address}", edits.document
        document["providers"] |= {
            "claude": {"api": "anthropic", "base_url": url},
            "slow": {"api": "openai", "endpoints": [url]},
        }
        document["models"] |= {
            "chat": {"targets": [{"provider": "claude", "model": "m"}]},
            "messages": {"targets": [{"provider": "slow", "model": "m"}]},
        }
        document["tenants"]["acme"]["models"] = ["chat", "messages"]
        yield Translated(edits)
